"""What a training is asked for: which pictures it sees, and how long it goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TrainingRows:
    """Of the manifest: the pictures that a training sees."""

    fit: pd.DataFrame  # trained on
    watched: Mapping[str, pd.DataFrame]  # after each epoch, by split (val: held out; test)

    def can_choose(self, least: int) -> bool:
        """Whether at least so many pictures are held out: fewer cannot tell epochs apart."""
        return "val" in self.watched and len(self.watched["val"]) >= least


@dataclass(frozen=True)
class Course:
    """How a training goes."""

    epochs: int | None  # None: the strategy's
    steps: int | None  # at most so many, where the epochs would be more
    factor: float  # of the rates of the first attempt
    known: Sequence[float] | None  # held-out losses of an earlier training, see GraftModule
    goes_on: bool = False  # from weights that were trained: they are worth keeping


AS_THE_STRATEGY_SAYS = Course(epochs=None, steps=None, factor=1.0, known=None)
