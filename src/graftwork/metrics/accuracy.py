"""Shares of pictures that are recognised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graftwork.config.errors import check_range
from graftwork.metrics.base import Metric, counts_by, mean_over_occurring, weighted_mean

if TYPE_CHECKING:
    from torchmetrics import Metric as TorchMetric


@dataclass(frozen=True)
class TopK(Metric):
    """Share of pictures whose class is among the k most probable ones.

    With k or fewer classes it would be 1 whatever the network says, and is left out.
    """

    k: int

    def __post_init__(self) -> None:
        check_range("k", self.k, 1)

    @property
    def label(self) -> str:
        return f"Top-{self.k} accuracy"

    def applies(self, num_classes: int) -> bool:
        return self.k < num_classes or self.k == 1

    def build(self, num_classes: int) -> TorchMetric:
        import graftwork.process.vision  # noqa: F401, I001
        from torchmetrics.classification import MulticlassAccuracy

        k = min(self.k, num_classes)
        return MulticlassAccuracy(num_classes=num_classes, top_k=k, average="micro")

    def weighted(
        self, probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray
    ) -> np.ndarray:
        return weighted_mean(ranks(probabilities, labels) < self.k, weights)


@dataclass(frozen=True)
class BalancedAccuracy(Metric):
    """Mean of the classes' recalls, over the classes that occur in the test pictures."""

    @property
    def label(self) -> str:
        return "Balanced accuracy"

    def build(self, num_classes: int) -> TorchMetric:
        from graftwork.metrics.on_torch.accumulated import OccurringRecall

        return OccurringRecall(num_classes)

    def weighted(
        self, probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray
    ) -> np.ndarray:
        size = probabilities.shape[1]
        hit = probabilities.argmax(axis=1) == labels
        support = counts_by(labels, weights, size)
        hits = counts_by(labels, weights, size, hit)
        return mean_over_occurring(hits / np.maximum(support, 1), support)


def ranks(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How many classes come before the right one; equal probabilities count in class order.

    Args:
        probabilities: `[n, num_classes]`.
        labels: `[n]`.

    Returns:
        `[n]`, 0 where the right class is the first.
    """
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)
    before = np.arange(probabilities.shape[1]) < labels[:, None]
    result: np.ndarray = ((probabilities > own) | ((probabilities == own) & before)).sum(axis=1)
    return result
