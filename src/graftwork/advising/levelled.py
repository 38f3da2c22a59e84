"""Scores of ways that were judged on different held-out pictures, on one footing.

Every network holds out by its own distances, and a network that is trained holds out one part,
which may be an easy one. So probes are judged again on folds that all of them share (`level`), and
whatever else was done with a network by what it gains over the network's own probe on the pictures
that both answered (`gain`). A score is the sum of the two means.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

DRAWS = 300
BAND = (2.5, 97.5)  # percentiles of them


@dataclass(frozen=True)
class Footing:
    """Ways by held-out pictures, `[ways, pictures]`."""

    level: np.ndarray  # how often the way's network's probe was right, NaN: never held out
    gain: np.ndarray  # by how much the way is more so than it; NaN: not both of them said something

    def scores(self, pictures: np.ndarray | slice = slice(None)) -> np.ndarray:
        """`[ways]`; NaN where a way cannot be compared."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # means of nothing
            level, gain = (np.nanmean(one[:, pictures], axis=1) for one in (self.level, self.gain))
        return np.clip(level + gain, 0.0, 1.0)

    def drawn(self, seed: int) -> np.ndarray:
        """`[DRAWS, ways]`: scores on pictures that are drawn again."""
        generator, count = np.random.default_rng(seed), self.level.shape[1]
        draws = generator.integers(0, count, (DRAWS, count))
        return np.stack([self.scores(pictures) for pictures in draws])


def behind(scores: np.ndarray, drawn: np.ndarray, best: int, other: int) -> tuple[float, float]:
    """Difference best - other, and its standard error: both are drawn together."""
    return float(scores[best] - scores[other]), float(np.nanstd(drawn[:, best] - drawn[:, other]))
