"""The one LightningModule: what it logs, and what follows from the seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from colour_trainings import (
    Colours,
    classifier,
    fitted,
    guard,
    pictures,
    state,
    strategy,
)
from torch.nn import functional as F

from graftwork.training.callbacks import gatherer
from graftwork.training.diverging import Diverged
from graftwork.transfer.bound.gathering import BestEpoch
from graftwork.transfer.schedules import WarmupCosine


def test_logged_numbers_are_exact(tmp_path: Path) -> None:
    """13 validation pictures in batches of 8: means of batch means would be others."""
    network = classifier(7)
    transfer = strategy(
        "transfer.schedule.warmup=0", "transfer.objective.label_smoothing=0.3", epochs=1
    )
    data = pictures()
    _, rows = fitted(network, transfer, tmp_path, data=data, num_classes=7)
    network.eval()
    (loader,) = data.val_dataloader()
    images, labels = (torch.cat(part) for part in zip(*loader, strict=True))
    with torch.no_grad():
        logits = network(network.normalise(images))
    assert len(labels) == 13
    row = rows[0]
    assert row["val/loss"] == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)
    best = logits.topk(5).indices
    assert row["val/top1"] == pytest.approx((best[:, 0] == labels).float().mean().item())
    assert row["val/top5"] == pytest.approx((best == labels[:, None]).any(1).float().mean().item())
    assert row["epoch"] == 1 and row["lr"] == 0.0
    assert {"train/loss", "train/top1"} <= set(row)


def test_few_classes_have_no_top5(tmp_path: Path) -> None:
    _, rows = fitted(classifier(), strategy(epochs=1), tmp_path)
    assert "val/top5" not in rows[0]


def test_test_pictures_are_watched_beside_validation_and_change_nothing(tmp_path: Path) -> None:
    transfer, found = strategy(epochs=2), {}
    for test in (0, 7):
        network, best = classifier(), gatherer(BestEpoch(), patience=0)
        _, rows = fitted(network, transfer, tmp_path, best, data=pictures(val=5, test=test))
        best.gathering.place(network, lambda: None, None)
        found[test] = rows, state(network), best.gathering.epochs
    (plain, weights, epoch), (watched, same, again) = found[0], found[7]
    assert epoch == again and all(torch.equal(weights[name], same[name]) for name in weights)
    assert [row.keys() - plain[0].keys() for row in watched] == [{"test/loss", "test/top1"}] * 2
    assert [{name: row[name] for name in plain[0]} for row in watched] == plain
    assert watched[-1]["test/loss"] != watched[-1]["val/loss"]


def test_test_pictures_alone_are_exact(tmp_path: Path) -> None:
    """11 of them, and no validation: the numbers are theirs."""
    network, data = classifier(), pictures(val=0, test=11)
    _, rows = fitted(network, strategy(epochs=1), tmp_path, data=data)
    ((images, labels),) = [
        tuple(map(torch.cat, zip(*one, strict=True))) for one in data.val_dataloader()
    ]
    with torch.no_grad():
        logits = network.eval()(network.normalise(images))
    assert len(labels) == 11 and "val/loss" not in rows[0]
    assert rows[0]["test/loss"] == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)
    hits = (logits.argmax(1) == labels).float().mean()
    assert rows[0]["test/top1"] == pytest.approx(hits.item())


def test_training_learns_and_the_same_seed_gives_the_same_bits(tmp_path: Path) -> None:
    transfer = strategy("transfer.rates.lr=0.01", epochs=12, schedule=WarmupCosine(0.0))
    runs = []
    for _ in range(2):
        network = classifier()
        _, rows = fitted(network, transfer, tmp_path)
        runs.append((rows, state(network)))
    assert runs[0][0] == runs[1][0]
    assert all(torch.equal(tensor, runs[1][1][name]) for name, tensor in runs[0][1].items())
    first, last = runs[0][0][0], runs[0][0][-1]
    assert last["val/top1"] > 0.9 and last["train/loss"] < 0.8 * first["train/loss"]


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    class Poisoned(Colours):
        calls = 0

        def get(self, sha256: str, path: str) -> np.ndarray:
            self.calls += 1
            if self.calls > 48:  # in the second epoch, behind those that the guard looks at
                with torch.no_grad():
                    network.head.weight.fill_(float("nan"))
            return super().get(sha256, path)

    network = classifier()
    data = pictures()
    data._fit._images = Poisoned()
    best = gatherer(BestEpoch(), patience=0)
    with pytest.raises(Diverged, match=r"the loss is nan in epoch 2, step 1"):
        fitted(network, strategy(epochs=3), tmp_path, best, guard(data), data=data)
    assert all(tensor.isfinite().all() for tensor in best.gathering._state.values())


def test_mixing_follows_from_the_seed_alone(tmp_path: Path) -> None:
    """Nothing global is drawn from, and accuracy counts the larger share."""
    found = []
    for objective, drawn in (("mixed", 0), ("mixed", 7), ("cross_entropy", 0)):
        network = classifier()
        torch.manual_seed(drawn)
        np.random.seed(drawn)
        _, rows = fitted(network, strategy(f"transfer/objective={objective}", epochs=2), tmp_path)
        found.append(rows)
    assert found[0] == found[1] != found[2]
    assert all(0 <= row["train/top1"] <= 1 for row in found[0])
