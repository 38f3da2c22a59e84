"""Which training pictures an epoch shows, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from graftwork.transfer.parts import Sampler

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Shuffled(Sampler):
    """Every picture once."""

    def rows(self, labels: np.ndarray, seed: int, epoch: int) -> np.ndarray:
        import numpy as np

        return np.random.default_rng((seed, epoch)).permutation(len(labels))


@dataclass(frozen=True)
class ClassBalanced(Sampler):
    """Every class that has pictures as often as any other; within it, none comes an n-th time
    before all have come n - 1 times.

    Where the number of pictures is no multiple of the number of classes, which of them come once
    more is drawn anew in each epoch; so is which pictures of a large class are left out.
    """

    @property
    def balances(self) -> bool:
        return True

    def rows(self, labels: np.ndarray, seed: int, epoch: int) -> np.ndarray:
        import numpy as np

        random = np.random.default_rng((seed, epoch))
        classes = random.permutation(np.unique(labels))  # the first ones come once more
        shares = np.full(len(classes), len(labels) // len(classes))
        shares[: len(labels) % len(classes)] += 1
        drawn = [
            _in_turn(np.flatnonzero(labels == label), int(share), random)
            for label, share in zip(classes, shares, strict=True)
        ]
        return random.permutation(np.concatenate(drawn))


def _in_turn(rows: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """So many rows: all of them shuffled, again and again."""
    import numpy as np

    rounds = [random.permutation(rows) for _ in range(-(-count // len(rows)))]
    return np.concatenate([rows[:0], *rounds])[:count]
