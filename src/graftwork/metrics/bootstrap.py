"""Bootstrap intervals of metrics.

BCa: bias-corrected and accelerated (Efron, "Better Bootstrap Confidence Intervals", JASA 1987;
Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, section 14.3). For accuracies it is
hardly different from plain percentiles; the calibration error and macro averages are biased in
resamples, and there plain percentiles can miss the value itself.

Pictures are drawn with replacement, all metrics on the same draws. Memory is bounded by
`WEIGHTS_AT_ONCE` (or one resample of n weights, where that is more); time grows linearly with n.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Protocol

import numpy as np

WEIGHTS_AT_ONCE = 1 << 22  # float64: 32 MiB, and as much again inside a metric
JACKKNIFE_GROUPS = 200  # more pictures than this are left out in groups


class Weighted(Protocol):
    """A number under many weightings of the pictures, as graftwork.metrics.base.Metric has it."""

    def weighted(
        self, probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray
    ) -> np.ndarray: ...


@dataclass(frozen=True)
class Difference:
    """What a metric says of two models side by side, the second one's number taken away.

    Both are drawn together, so that what makes a picture hard for both cancels. `probabilities`
    are `[n, 2 * num_classes]`: those of the one model, then those of the other.
    """

    metric: Weighted

    def weighted(
        self, probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray
    ) -> np.ndarray:
        half = probabilities.shape[1] // 2
        one, other = probabilities[:, :half], probabilities[:, half:]
        return self.metric.weighted(one, labels, weights) - self.metric.weighted(
            other, labels, weights
        )


@dataclass(frozen=True)
class Interval:
    """An estimate with its bounds."""

    value: float
    low: float
    high: float


def intervals(
    metrics: Mapping[str, Weighted],
    probabilities: np.ndarray,
    labels: np.ndarray,
    *,
    samples: int,
    confidence: float,
    seed: int,
) -> dict[str, Interval]:
    """Value and BCa interval of each metric.

    Args:
        metrics: by name.
        probabilities: `[n, num_classes]`, n at least 1.
        labels: `[n]`, integers.
        samples: resamples.
        confidence: probability that the interval is meant to hold the true value.
        seed: of the draws.
    """
    n = len(labels)
    drawn = {name: np.empty(samples) for name in metrics}
    _fill(drawn, metrics, probabilities, labels, resamples(n, samples, seed))
    groups = min(n, JACKKNIFE_GROUPS)
    without = {name: np.empty(groups) for name in metrics}
    _fill(without, metrics, probabilities, labels, jackknife(n, groups, seed))
    everything = np.ones((1, n))
    result = {}
    for name, metric in metrics.items():
        value = float(metric.weighted(probabilities, labels, everything)[0])
        result[name] = bca(value, drawn[name], without[name], confidence)
    return result


def _fill(
    results: Mapping[str, np.ndarray],
    metrics: Mapping[str, Weighted],
    probabilities: np.ndarray,
    labels: np.ndarray,
    chunks: Iterator[np.ndarray],
) -> None:
    start = 0
    for weights in chunks:
        for name, metric in metrics.items():
            values = metric.weighted(probabilities, labels, weights)
            results[name][start : start + len(weights)] = values
        start += len(weights)


def resamples(n: int, count: int, seed: int) -> Iterator[np.ndarray]:
    """How often each of n pictures is drawn, in chunks `[at most count, n]`.

    The draws do not depend on how they are chunked.
    """
    if count * n <= WEIGHTS_AT_ONCE:
        yield _drawn(n, count, seed)
        return
    generator = np.random.default_rng(seed)
    for rows in _chunks(count, n):
        yield _draws(generator, n, rows)


@lru_cache(maxsize=2)  # the jobs of a sweep are measured on the same draws: test, selection
def _drawn(n: int, count: int, seed: int) -> np.ndarray:
    weights = _draws(np.random.default_rng(seed), n, count)
    weights.flags.writeable = False
    return weights


def _draws(generator: np.random.Generator, n: int, rows: int) -> np.ndarray:
    draws = (np.bincount(generator.integers(0, n, n), minlength=n) for _ in range(rows))
    return np.stack([draw.astype(np.float64) for draw in draws])


def jackknife(n: int, groups: int, seed: int) -> Iterator[np.ndarray]:
    """Everything but one group of pictures, for each group in turn, in chunks `[.., n]`."""
    if n == 1:  # nothing would be left
        yield np.ones((1, 1))
        return
    group = np.random.default_rng(seed).permutation(n) % groups
    start = 0
    for rows in _chunks(groups, n):
        left_out = np.arange(start, start + rows)
        yield (group != left_out[:, None]).astype(np.float64)
        start += rows


def _chunks(count: int, n: int) -> Iterator[int]:
    rows = max(1, WEIGHTS_AT_ONCE // n)
    for start in range(0, count, rows):
        yield min(rows, count - start)


def bca(value: float, drawn: np.ndarray, without: np.ndarray, confidence: float) -> Interval:
    """The BCa interval from resampled values `[samples]` and jackknife values `[groups]`.

    The interval is widened to hold `value` where all resamples lie on one side of it.
    """
    normal = NormalDist()
    below = (drawn < value).mean() + (drawn == value).mean() / 2
    rim = 1 / (len(drawn) + 1)  # a share of 0 or 1 would put the correction at infinity
    bias = normal.inv_cdf(float(np.clip(below, rim, 1 - rim)))
    influence = without.mean() - without
    spread = float((influence**2).sum())
    acceleration = float((influence**3).sum()) / (6 * spread**1.5) if spread > 1e-24 else 0.0
    low, high = (
        normal.cdf(bias + (bias + z) / max(1 - acceleration * (bias + z), 1e-6))
        for z in (normal.inv_cdf((1 - confidence) / 2), normal.inv_cdf((1 + confidence) / 2))
    )
    bounds = np.quantile(drawn, (low, high))
    return Interval(value, min(float(bounds[0]), value), max(float(bounds[1]), value))
