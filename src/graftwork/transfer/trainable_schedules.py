"""What is trained, and when: unfreezing from the head down, while training goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graftwork.config.errors import check_range
from graftwork.transfer.parts import Moment, Trainable

if TYPE_CHECKING:
    from graftwork.models.network.layout import Layout


@dataclass(frozen=True)
class Unfreezing(Trainable):
    """Layer groups join in from the last one down."""

    first: int  # groups of the backbone that are trained from the start; 0: the head alone
    frozen_share: float  # of the backbone's layer groups, never trained, rounded down; [0, 1]

    def __post_init__(self) -> None:
        check_range("first", self.first, 0)
        check_range("frozen_share", self.frozen_share, 0, 1)

    def reached(self, count: int, trained: int) -> list[bool]:
        """The last `trained` of `count` groups, but none of those that are never trained."""
        never = int(self.frozen_share * count + 1e-9)
        return [at >= max(never, count - trained) for at in range(count)]

    def further(self, count: int) -> int:
        """How many groups join in after the start."""
        return max(0, count - int(self.frozen_share * count + 1e-9) - self.first)


@dataclass(frozen=True)
class Gradual(Unfreezing):
    """In equal steps (ULMFiT, Howard & Ruder 2018: one group an epoch).

    Follows from the epoch alone.
    """

    until: float  # share of the epochs after which nothing is left to unfreeze, (0, 1]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("until", self.until, 0, 1, low_open=True)

    def groups(self, names: Sequence[str], moment: Moment) -> list[bool]:
        further, span = self.further(len(names)), self.until * moment.epochs
        joined = int(further * min(1.0, moment.epoch / span) + 1e-9) if span else further
        return self.reached(len(names), self.first + joined)


@dataclass(frozen=True)
class OnPlateau(Unfreezing):
    """One more group whenever the held-out loss has stopped falling.

    Follows from the losses that are recorded, and from nothing else.
    """

    patience: int  # epochs without a better loss
    least_gain: float  # share by which a loss has to be below the best one to be better, [0, 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("patience", self.patience, 1)
        check_range("least_gain", self.least_gain, 0, 0.99)

    @property
    def needs_validation(self) -> bool:
        return True

    def groups(self, names: Sequence[str], moment: Moment) -> list[bool]:
        stalls = plateaus(moment.validated, self.patience, self.least_gain)
        return self.reached(len(names), self.first + len(stalls))

    def notes(self, layout: Layout) -> list[str]:
        when = "groups join in when the held-out loss has stopped falling"
        return [f"The epochs are the earliest that can be: {when}."]

    def moments(self, names: Sequence[str], epochs: int) -> list[Moment]:
        """As if the loss never fell."""
        return [Moment.of_epoch(epoch, epochs, [1.0] * epoch) for epoch in range(epochs)]


def plateaus(losses: Sequence[float], patience: int, least_gain: float) -> list[int]:
    """The epochs (from 0) that begin behind so many without a better loss.

    What is unfrozen gets as many epochs to show what it can do before the next plateau counts.

    Args:
        losses: after each epoch; one that is no number is not better.
        least_gain: share by which a loss has to be below the best so far.
    """
    found: list[int] = []
    best, since = losses[0] if losses else float("inf"), 0
    best = best if best == best else float("inf")
    for epoch, loss in enumerate(losses[1:], 2):
        better = loss < best * (1 - least_gain) or (loss < best == float("inf"))
        best, since = (loss, 0) if better else (best, since + 1)
        if since >= patience:
            found.append(epoch)
            since = 0
    return found
