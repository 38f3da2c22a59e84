"""How rates change while training goes on.

The schedulers of torch and timm hold state that moves with each call; these follow from the moment
alone. Their formulas are torch's, which the tests compare them with.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from graftwork.config.errors import check_range
from graftwork.transfer.parts import Moment, Schedule


@dataclass(frozen=True)
class WarmedUp(Schedule):
    """From 0 to the peak in equal steps (Goyal et al. 2017), then a course of its own."""

    warmup: float  # share of the steps, [0, 1]

    def __post_init__(self) -> None:
        check_range("warmup", self.warmup, 0, 1)

    def factor(self, moment: Moment) -> float:
        step, steps, warmup = moment.step, moment.steps, self.warmup * moment.steps
        if step < warmup:
            return (step + 1) / (math.floor(warmup) + 1)
        return self.after(min(1.0, (step - warmup) / max(1.0, steps - warmup)), moment)

    @abstractmethod
    def after(self, done: float, moment: Moment) -> float:
        """Share of the peak rates behind the warm-up.

        Args:
            done: share of the steps behind it, [0, 1].
        """


@dataclass(frozen=True)
class WarmupCosine(WarmedUp):
    """A cosine back to 0 (Loshchilov & Hutter 2017)."""

    def after(self, done: float, moment: Moment) -> float:
        return 0.5 * (1 + math.cos(math.pi * done))


@dataclass(frozen=True)
class Constant(WarmedUp):
    """At the peak to the end."""

    def after(self, done: float, moment: Moment) -> float:
        return 1.0


@dataclass(frozen=True)
class Linear(WarmedUp):
    """In equal steps down to the end."""

    end: float  # share of the peak rates behind the last step, [0, 1]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("end", self.end, 0, 1)

    def after(self, done: float, moment: Moment) -> float:
        return 1 + (self.end - 1) * done


@dataclass(frozen=True)
class Step(WarmedUp):
    """At some points of the training down by the same factor (He et al. 2015)."""

    at: list[float]  # points, as shares of all steps, [0, 1]
    factor_each: float  # of the rates at each point, (0, 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        for point in self.at:
            check_range("at", point, 0, 1)
        check_range("factor_each", self.factor_each, 0, 1, low_open=True)

    def after(self, done: float, moment: Moment) -> float:
        passed = sum(moment.step >= point * moment.steps for point in self.at)
        return self.factor_each**passed


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Along a cosine up to the peak and along another down (Smith & Topin 2017).

    Of torch's form, which lets momentum fall and rise as well, only the rates.
    """

    warmup: float  # share of the steps on the way up, (0, 1)
    start: float  # share of the peak rates at the first step, [0, 1]
    end: float  # at the last, [0, 1]

    def __post_init__(self) -> None:
        check_range("warmup", self.warmup, 0, 1, low_open=True)
        check_range("start", self.start, 0, 1)
        check_range("end", self.end, 0, 1)

    def factor(self, moment: Moment) -> float:
        top, last = self.warmup * moment.steps - 1, moment.steps - 1
        if moment.step <= top:
            return _along(self.start, 1.0, moment.step / top if top else 1.0)
        return _along(1.0, self.end, min(1.0, (moment.step - top) / max(1.0, last - top)))


def _along(one: float, other: float, done: float) -> float:
    """A cosine from one to the other."""
    return other + (one - other) / 2 * (1 + math.cos(math.pi * done))


@dataclass(frozen=True)
class Plateau(WarmedUp):
    """Down by the same factor whenever the held-out loss has not fallen for some epochs
    (Krizhevsky et al. 2012; He et al. 2015).

    The losses are all that decides, so the same ones give the same rates: those of a training that
    begins anew, on more pictures, fall where they fell in the one that chose.
    """

    factor_each: float  # of the rates each time, (0, 1)
    patience: int  # epochs in a row without improvement that are borne; the next one is too many
    threshold: float  # share of the best loss by which the next must be lower, [0, 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("factor_each", self.factor_each, 0, 1, low_open=True)
        check_range("patience", self.patience, 0)
        check_range("threshold", self.threshold, 0, 0.999)

    @property
    def needs_validation(self) -> bool:
        return True

    def after(self, done: float, moment: Moment) -> float:
        return self.factor_each ** self.falls(moment.validated)

    def falls(self, losses: Sequence[float]) -> int:
        """How often rates have fallen after these losses, one an epoch."""
        best, without, fallen = math.inf, 0, 0
        for loss in losses:
            if loss < best * (1 - self.threshold) if math.isfinite(best) else loss < best:
                best, without = loss, 0
            else:
                without += 1  # a loss that is no number is no improvement
            if without > self.patience:
                fallen, without = fallen + 1, 0
        return fallen
