"""Log loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graftwork.metrics.base import SMALLEST, Metric, weighted_mean

if TYPE_CHECKING:
    from torchmetrics import Metric as TorchMetric

# One picture costs at most 15.9 nats: a float32 probability below this is rounding, not belief.
# scikit-learn's `log_loss` clips float32 probabilities at the same value.


@dataclass(frozen=True)
class LogLoss(Metric):
    """Mean of -ln(probability of the right class), in nats."""

    @property
    def label(self) -> str:
        return "Log loss"

    @property
    def is_share(self) -> bool:
        return False

    def build(self, num_classes: int) -> TorchMetric:
        from graftwork.metrics.on_torch.accumulated import MeanLogLoss

        return MeanLogLoss()

    def weighted(
        self, probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray
    ) -> np.ndarray:
        return weighted_mean(log_losses(probabilities, labels), weights)


def log_losses(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """-ln(probability of the right class) of each picture: `[n]`, nats, float64."""
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)[:, 0].astype(np.float64)
    return np.asarray(-np.log(np.clip(own, SMALLEST, 1)))
