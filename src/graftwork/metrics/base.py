"""What every metric offers."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graftwork.components import Component

if TYPE_CHECKING:
    from torchmetrics import Metric as TorchMetric


@dataclass(frozen=True)
class Metric(Component):
    """A number computed from class probabilities and labels."""

    higher_is_better: bool

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
