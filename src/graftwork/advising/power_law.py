"""The error that a power law expects of more labels, with a band.

error(n) = floor + scale * n^-power: what learning curves of deep features follow over a decade or
two (Hestness et al. 2017, arXiv 1712.00409; Viering and Loog 2022, IEEE TPAMI 45(6)). Beyond twice
the labels it is a guess, and is not drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graftwork.advising.learning_curve import Point

RESAMPLES = 100
POWERS = (0.05, 2.0)


@dataclass(frozen=True)
class Expected:
    """Errors by number of labels, as shares; each array belongs to `labels`."""

    labels: np.ndarray
    error: np.ndarray
    low: np.ndarray  # of a 95 % band
    high: np.ndarray

    def at(self, labels: float) -> tuple[float, float, float]:
        """Error and band at one number of labels."""
        return tuple(  # type: ignore[return-value]
            float(np.interp(labels, self.labels, row)) for row in (self.error, self.low, self.high)
        )


@dataclass(frozen=True)
class Gain:
    """By how much accuracy grows between two numbers of labels, a share with its band."""

    value: float
    low: float
    high: float


def fitted(points: Sequence[Point], upto: float, seed: int) -> tuple[Expected, Gain]:
    """The law through all points, from the smallest to `upto` labels; and what leads there.

    Pictures and draws are drawn again for the band: the points judge the same pictures.

    Returns:
        The curve, and the gain from all labels of today to `upto`.
    """
    labels = np.array([point.labels for point in points])
    right = np.stack([point.right for point in points]).astype(np.float64)
    grid = np.geomspace(labels.min(), upto, 60)
    today = labels.max()
    generator = np.random.default_rng(seed)
    laws = [_law(labels, 1 - right.mean(axis=1))]
    for _ in range(RESAMPLES):
        pictures = generator.integers(0, right.shape[1], right.shape[1])
        laws.append(_law(labels, 1 - _redrawn(right, labels, generator)[:, pictures].mean(axis=1)))
    curves = np.stack([_error(law, grid) for law in laws])
    gains = np.array([_error(law, today) - _error(law, upto) for law in laws])
    low, high = np.quantile(curves[1:], (0.025, 0.975), axis=0)
    ends = np.quantile(gains[1:], (0.025, 0.975))
    return Expected(grid, curves[0], low, high), Gain(float(gains[0]), *map(float, ends))


def _redrawn(right: np.ndarray, labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Each point in the place of another one of as many labels."""
    order = np.arange(len(labels))
    for size in np.unique(labels.round()):
        alike = np.flatnonzero(labels.round() == size)
        order[alike] = generator.choice(alike, len(alike))
    return right[order]


def _law(labels: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """(floor, scale, power), the least squares of the error."""
    from scipy.optimize import least_squares

    unit = labels / labels.max()  # so that `scale` is about what more labels can win
    start = [errors.min() / 2, max(errors.min() / 2, 1e-3), 0.5]
    bounds = [0.0, 0.0, POWERS[0]], [1.0, 10.0, POWERS[1]]

    def off(law: np.ndarray) -> np.ndarray:
        return np.asarray(law[0] + law[1] * unit ** -law[2] - errors)

    found = least_squares(off, start, bounds=bounds)
    return np.array([*found.x, labels.max()])


def _error(law: np.ndarray, labels: np.ndarray | float) -> np.ndarray:
    floor, scale, power, most = law
    return np.asarray(floor + scale * (np.asarray(labels) / most) ** -power)
