"""What every metric offers."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graftwork.config.components import Component

if TYPE_CHECKING:
    from torchmetrics import Metric as TorchMetric

FEW = 64  # classes of which one matrix product takes less than a pass over each resample
SMALLEST = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Metric(Component):
    """A number computed from class probabilities and labels."""

    higher_is_better: bool

    @property
    @abstractmethod
    def label(self) -> str:
        """Its name in tables and pictures."""

    @property
    def is_share(self) -> bool:
        """Whether it lies in [0, 1] and reads best in per cent."""
        return True

    def applies(self, num_classes: int) -> bool:
        """Whether it says anything with so many classes; left out of the results where not."""
        return True

    @abstractmethod
    def build(self, num_classes: int) -> TorchMetric:
        """The torchmetrics object that computes the value."""

    @abstractmethod
    def weighted(
        self, probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray
    ) -> np.ndarray:
        """The same number under many weightings of the pictures: one bootstrap resample a row.

        Args:
            probabilities: `[n, num_classes]`.
            labels: `[n]`, integers.
            weights: `[resamples, n]`, how often each picture was drawn.

        Returns:
            `[resamples]`.
        """


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """`[n]` under `[resamples, n]` weights: `[resamples]`."""
    return weights @ values / weights.sum(axis=1)


def sums_by(index: np.ndarray, weights: np.ndarray, size: int) -> np.ndarray:
    """Sums of weights by index (a class, a bin).

    Args:
        index: `[n]`, integers in [0, size).
        weights: `[resamples, n]`.

    Returns:
        `[resamples, size]`. One pass over the weights however large `size` is.
    """
    return np.stack([np.bincount(index, row, minlength=size) for row in weights])


def counts_by(
    index: np.ndarray, weights: np.ndarray, size: int, counted: np.ndarray | None = None
) -> np.ndarray:
    """The same, of weights that are whole numbers: their sums are exact in whatever order.

    Args:
        counted: booleans `[n]`: those that count; None: all.
    """
    if size > FEW:
        return sums_by(index, weights if counted is None else weights * counted, size)
    belongs = index[:, None] == np.arange(size)
    if counted is not None:
        belongs &= counted[:, None]
    return np.asarray(weights @ belongs.astype(weights.dtype))


def mean_over_occurring(values: np.ndarray, support: np.ndarray) -> np.ndarray:
    """Mean over the classes that have at least one picture, row by row.

    A class without test pictures has no recall; counting it as 0 (or as 1) would invent a result.

    Args:
        values: `[resamples, num_classes]`; ignored where `support` is 0.
        support: `[resamples, num_classes]`, pictures of each class.
    """
    occurs = support > 0
    return np.where(occurs, values, 0).sum(axis=1) / occurs.sum(axis=1)
