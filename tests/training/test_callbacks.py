from __future__ import annotations

import os
import signal
import types
from typing import Any

import pytest
import torch

from graftwork.training.callbacks import Curves, EndedBySigterm, Gatherer, Progress, gatherer
from graftwork.training.history import History
from graftwork.training.lightning import pl
from graftwork.transfer.bound.gathering import BestEpoch


class Weights(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.classifier = torch.nn.ParameterDict({"value": torch.zeros(1)})

    @property
    def value(self) -> torch.Tensor:
        return self.classifier["value"]


def trainer(epoch: int = 0, **metrics: float) -> Any:
    """What the watchers read of a Trainer."""
    seen = {name.replace("_", "/"): torch.tensor(value) for name, value in metrics.items()}
    return types.SimpleNamespace(
        current_epoch=epoch,
        callback_metrics=seen,
        should_stop=False,
        is_global_zero=True,
        estimated_stepping_batches=4,
        global_step=epoch,
        max_epochs=2,
        optimizers=[types.SimpleNamespace(param_groups=[{"lr": 0.25}])],
    )


def followed(best: Gatherer, scores: list[tuple[float, float]]) -> tuple[Weights, list[bool]]:
    module, stops = Weights(), []
    for epoch, (top1, loss) in enumerate(scores):
        torch.nn.init.constant_(module.value, epoch)
        now = trainer(epoch, val_top1=top1, val_loss=loss)
        best.on_train_epoch_end(now, module)
        stops.append(now.should_stop)
    best.gathering.place(module.classifier, lambda: None, None)
    return module, stops


@pytest.mark.parametrize(
    ("scores", "kept"),
    [
        ([(0.5, 1.0), (0.9, 1.0), (0.7, 0.1)], 1),
        ([(0.9, 1.0), (0.9, 0.5), (0.9, 0.5)], 1),  # ties: the lower loss, then the earlier
        ([(0.1, 1.0), (0.2, 1.0), (0.3, 1.0)], 2),
        ([(0.5, 1.0), (0.5, float("nan"))], 0),
        ([(0.5, float("nan")), (0.5, 0.3), (0.5, 0.2)], 2),
    ],
)
def test_the_best_weights_come_back(scores: list[tuple[float, float]], kept: int) -> None:
    best = gatherer(BestEpoch(), patience=0)
    module, stops = followed(best, scores)
    assert best.gathering.epochs == [kept] and module.value.item() == kept
    assert not any(stops)


def test_patience_counts_epochs_without_improvement() -> None:
    scores = [(0.5, 1.0), (0.4, 1.0), (0.6, 1.0), (0.6, 1.0), (0.6, 1.0)]
    _, stops = followed(gatherer(BestEpoch(), patience=2), scores)
    assert stops == [False, False, False, False, True]


def test_curves_are_rows_and_are_told() -> None:
    told = []
    rows = [{"epoch": 0, "probe/strength": 0.1}]
    curves = Curves(History(rows, lambda row, epoch: told.append((epoch, row))))
    curves.on_train_epoch_end(trainer(0, train_loss=2.0), Weights())
    curves.on_train_epoch_end(trainer(1, train_loss=1.0), Weights())
    assert rows[0] == {"epoch": 0, "probe/strength": 0.1}  # what was there stays
    assert rows[2] == {"epoch": 2, "train/loss": 1.0, "lr": 0.25}
    assert told == [(1, {"train/loss": 2.0, "lr": 0.25}), (2, {"train/loss": 1.0, "lr": 0.25})]


def test_epochs_of_a_further_training_count_on() -> None:
    history = History.unheard()
    for _ in range(2):
        curves = Curves(history)
        for epoch in range(2):
            curves.on_train_epoch_end(trainer(epoch), Weights())
    assert [row["epoch"] for row in history.rows] == [1, 2, 3, 4]


def test_where_nobody_watches_each_epoch_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    progress, module = Progress(), Weights()
    progress.on_train_start(trainer(), module)
    for epoch in range(2):
        progress.on_train_batch_end(trainer(epoch))
        progress.on_train_epoch_end(trainer(epoch, train_loss=0.5), module)
    progress.on_train_end(trainer(), module)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("epoch 1/2  train/loss 0.5000") and "s left" in lines[0]


def test_other_processes_say_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    progress, other = Progress(), trainer(0, train_loss=0.5)
    other.is_global_zero = False
    progress.on_train_start(other, Weights())
    progress.on_train_batch_end(other)
    progress.on_train_epoch_end(other, Weights())
    progress.on_exception()
    assert capsys.readouterr().err == ""


def test_sigterm_ends_with_143() -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        EndedBySigterm().on_train_start(trainer(), Weights())
        with pytest.raises(SystemExit) as ended:
            os.kill(os.getpid(), signal.SIGTERM)
        assert ended.value.code == 143
    finally:
        signal.signal(signal.SIGTERM, before)
