"""The range test of learning rates: one short training, whose rates rise until the loss does.

Smith (2017) looks at the loss while rates rise from much too small to much too large. Here all
rates of the strategy rise together, as a factor of their own values, so that the test suits every
kind of them; the weights are thrown away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from graftwork.training.at_hand import TrainingAtHand
from graftwork.training.attempt import new_classifier
from graftwork.training.bound_parts import attached, bound, fit_module
from graftwork.training.callbacks import step_is_done
from graftwork.training.course import TrainingRows
from graftwork.training.graft_module import GraftModule
from graftwork.training.lightning import pl
from graftwork.training.pictures import pictures_of
from graftwork.transfer.parts import Facts, Moment, Schedule

if TYPE_CHECKING:
    import pandas as pd

    from graftwork.experiment import Experiment
    from graftwork.storage.artifacts import Artifacts
    from graftwork.transfer.parts import FittedHead

MEMORY = 0.9  # share of the smoothed loss that stays at a step
TOO_HIGH = 4.0  # times the smallest smoothed loss, where the test ends
BELOW = 10.0  # the proposal is the rate of the smallest loss divided by this


@dataclass(frozen=True)
class Rising(Schedule):
    """From the lowest factor to the highest, each step the same number of times as high."""

    low: float
    high: float

    def factor(self, moment: Moment) -> float:
        done = min(1.0, moment.step / max(1, moment.steps - 1))
        return float(self.low * (self.high / self.low) ** done)


@dataclass(frozen=True)
class RangeTest:
    """What was tried: loss by factor of the strategy's rates."""

    factors: list[float]  # rising
    losses: list[float]  # nats, of a batch each
    smoothed: list[float]

    @property
    def smallest(self) -> int:
        """The step of the smallest smoothed loss."""
        return min(range(len(self.smoothed)), key=self.smoothed.__getitem__)

    @property
    def proposed(self) -> float:
        """The factor of the smallest loss divided by ten (Howard & Gugger 2020, fastai's rule)."""
        return self.factors[self.smallest] / BELOW

    @property
    def open_ended(self) -> bool:
        """Whether the loss was smallest at the very end, so that higher rates might be better."""
        return self.smallest == len(self.factors) - 1


class _Ended(Exception):
    """The loss has risen far beyond its smallest."""


class _Watcher(pl.Callback):
    def __init__(self) -> None:
        self.losses: list[float] = []  # a step each
        self.smoothed: list[float] = []
        self._so_far = 0.0  # of a step in several forward passes

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        self._so_far += float(outputs["loss"].detach())
        if not step_is_done(pl_module, batch_idx):
            return
        loss, self._so_far = self._so_far, 0.0
        if not math.isfinite(loss):
            raise _Ended
        self.losses.append(loss)
        self.smoothed = smoothed(self.losses)
        if self.smoothed[-1] > TOO_HIGH * min(self.smoothed):
            raise _Ended


def smoothed(losses: Sequence[float]) -> list[float]:
    """The moving average of losses, free of its beginning at 0, as Adam's (Kingma & Ba 2015)."""
    mean, found = 0.0, []
    for step, loss in enumerate(losses, 1):
        mean = MEMORY * mean + (1 - MEMORY) * loss
        found.append(mean / (1 - MEMORY**step))
    return found


def range_test(
    experiment: Experiment,
    artifacts: Artifacts,
    head: FittedHead | None,
    fit: pd.DataFrame,
    num_classes: int,
    *,
    steps: int,
    low: float,
    high: float,
) -> RangeTest:
    """Trains a new network for some steps, in one process; the same for the same seed.

    Args:
        head: that training begins from; None: as the network is built.
        fit: rows of the manifest to train on.
        low: factor of the strategy's rates at the first step.
        high: at the last.
    """
    rising = Rising(low, high)
    transfer, seed = replace(experiment.transfer, schedule=rising), experiment.seed
    trainer = replace(experiment.trainer, processes=1, limit_epochs=None, limit_batches=None)
    classifier = new_classifier(experiment, artifacts, head, num_classes)
    pictures = pictures_of(experiment, artifacts, classifier.input_spec, TrainingRows(fit, {}))
    epochs = -(-steps // pictures.order().steps)
    watcher = _Watcher()
    torch.manual_seed(seed)
    facts = Facts.of(fit["label"].to_numpy(), num_classes, seed)
    at_hand = TrainingAtHand(experiment, artifacts, classifier.input_spec, fit)
    objective = transfer.objective.bound(facts)
    with (  # penalties of the plain network
        bound(transfer, classifier, objective, facts, at_hand) as penalties,
        attached(transfer.adapter, classifier, seed),
    ):
        module = GraftModule(
            classifier, transfer, num_classes, objective=objective, penalties=penalties,
            watched=(), seed=seed, epochs=epochs, shares=pictures.order().shares,
        )  # fmt: skip
        with suppress(_Ended):
            fit_module(module, trainer, [watcher], artifacts.root, pictures, steps)
    count = len(watcher.losses)
    factors = [rising.factor(Moment(step, steps, 0, epochs)) for step in range(count)]
    return RangeTest(factors, watcher.losses, watcher.smoothed)
