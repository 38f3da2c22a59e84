"""What a part is told: when it is, and of which training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Moment:
    """When: all of a training that a part may depend on, so that what it does needs no history."""

    step: int  # from 0
    steps: int  # of the whole training
    epoch: int  # from 0
    epochs: int  # of the whole training
    # Log loss of held-out pictures (nats) after each epoch that is done, where some are held out.
    # All that a part may know of how training went: so what it decides by is recorded, and the
    # same record gives the same decision.
    validated: tuple[float, ...] = ()

    @classmethod
    def of_epoch(cls, epoch: int, epochs: int, validated: Sequence[float] = ()) -> Moment:
        """The beginning of an epoch, where the number of steps is not known yet."""
        return cls(0, 0, epoch, epochs, tuple(validated))


@dataclass(frozen=True)
class Facts:
    """What a part is told of the training that it is bound to; of a refit, what is fitted then."""

    num_classes: int
    counts: tuple[int, ...]  # pictures of each class among those that are fitted
    seed: int  # of whatever is random about the part

    @classmethod
    def of(cls, labels: np.ndarray, num_classes: int, seed: int) -> Facts:
        """Of the pictures with these labels, integers `[n]`."""
        counts = [int((labels == label).sum()) for label in range(num_classes)]
        return cls(num_classes, tuple(counts), seed)

    @classmethod
    def even(cls, num_classes: int, seed: int = 0) -> Facts:
        """Where no pictures are known: a picture a class."""
        return cls(num_classes, (1,) * num_classes, seed)
