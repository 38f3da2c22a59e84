"""What looks on in one attempt of a training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graftwork.settings.trainer import SKIP
from graftwork.training.callbacks import Curves, EndedBySigterm, Gatherer, Progress, gatherer
from graftwork.training.guard import Guard

if TYPE_CHECKING:
    from graftwork.experiment import Experiment
    from graftwork.training.datamodule import TrainingData
    from graftwork.training.history import History
    from graftwork.transfer.bound.gathering import Gathering


@dataclass(frozen=True)
class Watchers:
    """What looks on in one attempt."""

    curves: Curves
    progress: Progress
    guard: Guard
    gatherer: Gatherer | None
    earlier: int  # rows before this attempt's

    @classmethod
    def of(
        cls,
        experiment: Experiment,
        data: TrainingData,
        history: History,
        gathering: Gathering | None,
        *,
        last: bool,
    ) -> Watchers:
        settings = experiment.trainer
        guard = Guard(
            lambda: data.train_dataloader(), skips=settings.on_divergence == SKIP,
            spike=settings.loss_spike, last=last,
        )  # fmt: skip
        gathers = None if gathering is None else gatherer(gathering, settings.patience)
        curves = Curves(history, guard.row)
        return cls(curves, Progress(), guard, gathers, len(history.rows))

    @property
    def kept(self) -> dict[str, Any]:
        """Those whose state belongs to the training's."""
        gathers = {} if self.gatherer is None else {"gatherer": self.gatherer}
        return {"guard": self.guard, **gathers}

    def all(self) -> list[Any]:
        return [EndedBySigterm(), self.progress, self.curves, *self.kept.values()]

    def kept_epoch(self) -> int:
        return self.curves.kept_epoch(
            () if self.gatherer is None else self.gatherer.gathering.epochs
        )
