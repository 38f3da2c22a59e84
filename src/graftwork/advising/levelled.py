"""Scores of ways that were judged on different held-out pictures, on one footing.

A probe is cross-validated on all pictures, a network on one part of them, which may be an easy one.
So everything is compared on shared pictures: a way's score is that of the reference on all of its
own pictures, plus the paired difference on those that both answered. What one part has of easy
pictures cancels.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

DRAWS = 300
BAND = (2.5, 97.5)  # percentiles of them


@dataclass(frozen=True)
class Expected:
    """Accuracy on new pictures of a way that was chosen among several; shares."""

    value: float
    low: float  # of a 95 % band
    high: float
    luck: float  # by how much the best of all flatters itself, already taken away


def levelled(right: np.ndarray, reference: int) -> np.ndarray:
    """Scores `[ways]`; NaN where a way shares no picture with the reference.

    Args:
        right: `[ways, pictures]`: 1 recognised, 0 not, NaN not held out.
        reference: the row that the others are compared with.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # means of nothing
        scores = np.nanmean(right[reference]) + np.nanmean(right - right[reference], axis=1)
    return np.clip(scores, 0.0, 1.0)


def behind(right: np.ndarray, best: int, other: int) -> tuple[float, float]:
    """Paired difference best - other on the pictures that both answered, and its standard error."""
    difference = right[best] - right[other]
    difference = difference[np.isfinite(difference)]
    if len(difference) < 2:
        return float("nan"), float("nan")
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    return float(difference.mean()), float(error)


def drawn(right: np.ndarray, reference: int, seed: int) -> list[np.ndarray]:
    """`levelled` of pictures that are drawn again, `DRAWS` times."""
    generator, count = np.random.default_rng(seed), right.shape[1]
    draws = (generator.integers(0, count, count) for _ in range(DRAWS))
    return [levelled(right[:, pictures], reference) for pictures in draws]


def expected(right: np.ndarray, reference: int, chosen: int, seed: int) -> Expected:
    """What to expect of the chosen way.

    The best of many looks better than it is. By how much, pictures that are drawn again tell: the
    optimism of Efron and Tibshirani (1993, chapter 17), for choosing the highest score.
    """
    scores = levelled(right, reference)
    again = [one for one in drawn(right, reference, seed) if np.isfinite(one[chosen])]
    best = [int(np.nanargmax(one)) for one in again]
    luck = [one[row] - scores[row] for one, row in zip(again, best, strict=True)]
    less = max(0.0, float(np.mean(luck)))
    low, high = np.percentile([one[chosen] for one in again], BAND) - less
    value = float(scores[chosen]) - less
    return Expected(value, max(0.0, float(low)), min(1.0, float(high)), less)
