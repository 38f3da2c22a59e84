"""The one LightningModule, trained for a few steps through the one Trainer."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import composed
from torch.nn import functional as F

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.models.base import Model
from graftwork.models.network.classifier import Classifier
from graftwork.settings.trainer import Trainer
from graftwork.training.callbacks import Curves, gatherer
from graftwork.training.datamodule import PictureData
from graftwork.training.graft_module import Diverged, GraftModule, parameter_groups
from graftwork.training.guard import Guard
from graftwork.training.lightning import pl
from graftwork.training.lightning_trainer import lightning, quiet
from graftwork.transfer.bound.gathering import BestEpoch, MovingAverage
from graftwork.transfer.samplers import Shuffled
from graftwork.transfer.schedules import Plateau, WarmupCosine
from graftwork.transfer.strategy import Transfer
from graftwork.transfer.trainable import FromGroup, HeadOnly
from graftwork.transfer.trainable_schedules import Gradual, OnPlateau


class Colours:
    """Pictures whose class is their brightest channel."""

    def get(self, sha256: str, path: str) -> np.ndarray:
        number = int(sha256)
        image = np.random.default_rng(number).integers(0, 120, (32, 32, 3))
        image[..., number % 3] += 100
        return image.astype(np.uint8)


def pictures(
    count: int = 24, val: int = 13, batch_size: int = 8, test: int = 0, passes: int = 1
) -> PictureData:
    numbers = np.arange(count)
    frame = pd.DataFrame({"sha256": numbers.astype(str), "path": "", "label": numbers % 3})
    return PictureData(
        frame,
        {"val": frame[:val], "test": frame[count - test :]},
        Colours(),
        lambda image, epoch, index: image,
        np.copy,
        batch_size=batch_size,
        passes=passes,
        workers=0,
        seed=0,
        sampler=Shuffled(),
    )


def strategy(*overrides: str, **changes: Any) -> Transfer:
    found = build(
        composed("transfer=from_scratch", "transfer.batch_norm=frozen", *overrides)["transfer"],
        Transfer,
        "transfer",
    )
    return dataclasses.replace(found, **changes)


def classifier(num_classes: int = 3) -> Classifier:
    torch.manual_seed(0)
    return build(composed("model=tiny_cnn")["model"], Model, "model").build(num_classes, None)


def fitted(
    network: Classifier,
    transfer: Transfer,
    tmp_path: Path,
    *callbacks: Any,
    data: PictureData | None = None,
    num_classes: int = 3,
    known: Sequence[float] | None = None,
    **changes: Any,
) -> tuple[GraftModule, list[dict[str, float]]]:
    settings = build(composed("trainer.precision=fp32")["trainer"], Trainer, "trainer")
    settings = dataclasses.replace(settings, accelerator="cpu", **changes)
    curves = Curves(lambda row, epoch: None, [])
    data = data or pictures()
    shares = data.order().shares
    module = GraftModule(
        network, transfer, num_classes, watched=data.watched, known=known, shares=shares
    )
    watchers = [curves, *callbacks]
    trainer = lightning(settings, transfer.epochs, watchers, tmp_path, passes=len(shares))
    with quiet():
        trainer.fit(module, datamodule=data)
    assert not list(tmp_path.iterdir()), "Lightning must leave no folders behind"
    return module, curves.rows


def state(network: Classifier) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def changed(before: dict[str, torch.Tensor], network: Classifier) -> set[str]:
    after = network.state_dict()
    return {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}


def names_of(network: Classifier, *groups: str) -> set[str]:
    return {n for g in network.layer_groups() if g.name in groups for n in g.parameters}


@pytest.mark.parametrize("batch_norm", ["frozen", "trained"])
def test_frozen_groups_stay_bit_identical(batch_norm: str, tmp_path: Path) -> None:
    network = classifier()
    before = state(network)
    transfer = strategy(trainable=FromGroup("stages.1"), batch_norm=batch_norm, epochs=2)
    fitted(network, transfer, tmp_path)
    trained = names_of(network, "stages.1", "head")
    moved = changed(before, network)
    frozen = {name for name in before if name.startswith(("backbone.stem", "backbone.stages.0"))}
    assert frozen and not moved & frozen
    norms = {name for name in moved if "running" in name}
    assert bool(norms) == (batch_norm == "trained")
    assert moved & trained
    if batch_norm == "frozen":
        assert moved <= trained


def test_head_only_leaves_parameters_and_buffers_of_the_backbone(tmp_path: Path) -> None:
    network = classifier()
    before = state(network)
    fitted(network, strategy(trainable=HeadOnly(), batch_norm="trained", epochs=2), tmp_path)
    assert changed(before, network) == {"head.weight", "head.bias"}


def test_everything_is_trained_where_nothing_is_frozen(tmp_path: Path) -> None:
    network = classifier()
    before = state(network)
    fitted(network, strategy(batch_norm="trained", epochs=2), tmp_path)
    still = set(before) - changed(before, network)
    assert not {name for name in still if not name.endswith("num_batches_tracked")}


def test_frozen_groups_have_no_graph() -> None:
    network = classifier()
    GraftModule(network, strategy(trainable=FromGroup("stages.1")), 3).train()
    seen = {}
    for name in ("stages.0", "stages.1"):
        module = network.backbone.get_submodule(name)
        module.register_forward_hook(lambda m, i, out, name=name: seen.update({name: out}))
    network(network.normalise(torch.zeros(2, 32, 32, 3, dtype=torch.uint8)))
    assert seen["stages.0"].grad_fn is None and seen["stages.1"].grad_fn is not None


def trained_groups(module: GraftModule) -> list[bool]:
    trained = {n for n, p in module.classifier.named_parameters() if p.requires_grad}
    return module.layout.touched(trained)


def test_groups_are_unfrozen_by_schedule_whatever_was_frozen_before(tmp_path: Path) -> None:
    gradual = Gradual(first=0, frozen_share=0.0, until=1.0)
    network = classifier()
    before = state(network)
    module, _ = fitted(network, strategy(trainable=gradual, epochs=3), tmp_path)
    assert trained_groups(module) == [False, True, True]
    moved = changed(before, network)
    trained = names_of(network, "stages.0", "stages.1", "head")
    assert moved == {name for name in trained if ".bn." not in name}
    module.freeze_for(module.moment(0))
    assert trained_groups(module) == [False, False, False]


def test_groups_are_unfrozen_on_a_plateau_and_a_record_of_it_decides_again(tmp_path: Path) -> None:
    never_better = OnPlateau(first=0, frozen_share=0.0, patience=1, least_gain=0.99)
    transfer = strategy(trainable=never_better, epochs=4)
    module, rows = fitted(classifier(), transfer, tmp_path)
    assert list(module.validated) == [row["val/loss"] for row in rows]
    assert trained_groups(module) == [False, True, True]  # plateaus after epochs 2 and 3
    again = GraftModule(classifier(), transfer, 3, epochs=2, known=module.validated)
    assert again.moment(1).validated == module.validated[:2]
    again.freeze_for(again.moment(1))
    assert trained_groups(again) == [False, False, True]


def test_a_wrong_group_shows_before_any_data_is_read() -> None:
    with pytest.raises(UserError, match=r"stages\.9.*Legal:.*stem"):
        GraftModule(classifier(), strategy(trainable=FromGroup("stages.9")), 3)


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
            if self.calls > 40:  # in the second epoch
                with torch.no_grad():
                    network.head.weight.fill_(float("nan"))
            return super().get(sha256, path)

    network = classifier()
    data = pictures()
    data._fit._images = Poisoned()
    best = gatherer(BestEpoch(), patience=0)
    with pytest.raises(Diverged, match=r"the loss is nan in epoch 2, step 1.*transfer\.rates"):
        fitted(network, strategy(epochs=3), tmp_path, best, Guard(data.train_dataloader), data=data)
    assert all(tensor.isfinite().all() for tensor in best.gathering._state.values())


class Steps(pl.Callback):
    """The rate of every step, and the guard's loss before the first."""

    def __init__(self) -> None:
        self.rates: list[float] = []

    def on_before_optimizer_step(self, trainer: Any, module: Any, optimizer: Any) -> None:
        self.rates.append(optimizer.param_groups[0]["lr"])


@pytest.mark.parametrize(
    ("batch_size", "passes", "shares"),
    [(4, 3, (1 / 3,) * 3), (5, 3, (5 / 12, 5 / 12, 2 / 12)), (8, 2, (8 / 12, 4 / 12))],
)
def test_several_passes_make_one_step_of_all_their_pictures(
    batch_size: int, passes: int, shares: tuple[float, ...], tmp_path: Path
) -> None:
    """Of 12 pictures in one pass, or in several of which the last may be smaller: no BatchNorm that
    looks at a batch, so that all is equal but for the order of additions."""
    found = []
    for size, count in ((12, 1), (batch_size, passes)):
        data, network = pictures(12, 12, batch_size=size, passes=count), classifier()
        assert data.order().shares == pytest.approx(shares if count > 1 else (1.0,))
        steps, guard, ema = Steps(), Guard(data.train_dataloader), MovingAverage(0.9, 0.7)
        watchers = steps, guard, gatherer(ema, 0)
        module, rows = fitted(network, strategy(epochs=4), tmp_path, *watchers, data=data)
        assert module.trainer.global_step == len(steps.rates) == 4
        ema.place(network, lambda: None, None)
        found.append((network, rows, steps.rates, guard.start_loss))
    (one, rows, rates, loss), (other, again, same, once_more) = found
    assert rates == same and once_more == pytest.approx(loss, rel=1e-5)
    for name, tensor in one.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], tensor, atol=2e-6, rtol=2e-5)
    for row, likewise in zip(rows, again, strict=True):
        assert likewise == pytest.approx(row, rel=1e-4)


def test_a_limit_counts_steps_and_epochs_whatever_the_passes(tmp_path: Path) -> None:
    data, steps = pictures(24, batch_size=2, passes=3), Steps()
    transfer = strategy(epochs=2, schedule=WarmupCosine(warmup=0.0))
    fitted(classifier(), transfer, tmp_path, steps, data=data, limit_batches=2)
    assert len(steps.rates) == 4  # of 8, in epochs of 2
    first = steps.rates[0]
    assert [rate / first for rate in steps.rates] == pytest.approx(
        [1, 0.8536, 0.5, 0.1464], abs=1e-4
    )


def test_gradients_are_clipped(tmp_path: Path) -> None:
    import pytorch_lightning as pl

    norms = []

    class Norms(pl.Callback):
        def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
            norms.append(
                torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])
            )

    fitted(classifier(), strategy(epochs=1), tmp_path, Norms(), gradient_clip=1e-3)
    clipped = [gradient.norm().item() for gradient in norms]
    norms.clear()
    fitted(classifier(), strategy(epochs=1), tmp_path, Norms(), gradient_clip=0.0)
    assert max(clipped) <= 1e-3 * 1.001 < max(gradient.norm().item() for gradient in norms)


def test_gradients_are_clipped_value_by_value(tmp_path: Path) -> None:
    import pytorch_lightning as pl

    largest = []

    class Largest(pl.Callback):
        def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
            found = [p.grad.abs().max().item() for p in module.parameters() if p.grad is not None]
            largest.append(max(found))

    transfer = strategy(epochs=1)
    fitted(classifier(), transfer, tmp_path, Largest(), gradient_clip=1e-4, clip_by="value")
    assert largest == [pytest.approx(1e-4)] * 3


def test_rates_fall_in_the_epoch_after_held_out_pictures_say_so(tmp_path: Path) -> None:
    """Three steps an epoch; losses known from another training give the same rates again."""
    import pytorch_lightning as pl

    class Rates(pl.Callback):
        def __init__(self) -> None:
            self.seen: list[float] = []

        def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
            self.seen.append(trainer.optimizers[0].param_groups[0]["lr"])

    schedule = Plateau(0.0, 0.5, 0, 0.999)  # nothing is such a gain
    transfer = strategy("transfer.rates.lr=0.01", epochs=4, schedule=schedule)
    first, again = Rates(), Rates()
    module, _ = fitted(classifier(), transfer, tmp_path, first)
    assert first.seen == pytest.approx([0.01] * 6 + [0.005] * 3 + [0.0025] * 3)
    fitted(classifier(), transfer, tmp_path, again, data=pictures(val=0), known=module.validated)
    assert again.seen == first.seen


def test_groups_have_their_rates_and_only_weights_decay() -> None:
    network = classifier()
    transfer = strategy(
        "transfer/rates=layer_decay",
        "transfer.rates.layer_decay=0.5",
        "transfer.rates.backbone_factor=0.1",
        "transfer.optimiser.weight_decay=0.3",
    )
    found = {}
    for group in parameter_groups(network, transfer):
        for parameter in group["params"]:
            assert id(parameter) not in found
            found[id(parameter)] = (
                group["lr"] / transfer.rates.of(0, size=1.0),
                group["weight_decay"],
            )
    expected = {"stem": 0.1 / 4, "stages.0": 0.1 / 2, "stages.1": 0.1, "head": 1.0}
    for group in network.layer_groups():
        for name, parameter in zip(group.parameters, network.parameters_of(group), strict=True):
            lr, decay = found.pop(id(parameter))
            assert lr == pytest.approx(expected[group.name]), name
            assert decay == (0.3 if parameter.ndim > 1 else 0.0), name
    assert not found


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
