"""Macro-F1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graftwork.metrics.base import Metric, counts_by, mean_over_occurring

if TYPE_CHECKING:
    from torchmetrics import Metric as TorchMetric


@dataclass(frozen=True)
class MacroF1(Metric):
    """Mean of the classes' F1 scores, over the classes that occur in the test pictures."""

    @property
    def label(self) -> str:
        return "Macro-F1"

    def build(self, num_classes: int) -> TorchMetric:
        from graftwork.metrics.on_torch.accumulated import OccurringF1

        return OccurringF1(num_classes)

    def weighted(
        self, probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray
    ) -> np.ndarray:
        size = probabilities.shape[1]
        predicted = probabilities.argmax(axis=1)
        support = counts_by(labels, weights, size)
        hits = counts_by(labels, weights, size, predicted == labels)
        both = support + counts_by(predicted, weights, size)  # 2 tp + fn + fp
        return mean_over_occurring(2 * hits / np.maximum(both, 1), support)
