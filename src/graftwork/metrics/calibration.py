"""Whether probabilities mean what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graftwork.config.errors import check_range
from graftwork.metrics.base import Metric, sums_by

if TYPE_CHECKING:
    from torchmetrics import Metric as TorchMetric


@dataclass(frozen=True)
class CalibrationError(Metric):
    """Expected calibration error of the predicted class's probability, in bins of equal width.

    The mean over pictures of |accuracy - mean probability| of the picture's bin. Guo et al.,
    "On Calibration of Modern Neural Networks", ICML 2017, equation 3. With few pictures it is
    biased upwards, and more so in resamples: its interval is the one that needs the bias
    correction of `graftwork.metrics.bootstrap`.
    """

    bins: int

    def __post_init__(self) -> None:
        check_range("bins", self.bins, 1)

    @property
    def label(self) -> str:
        return "Calibration error"

    def build(self, num_classes: int) -> TorchMetric:
        import graftwork.process.vision  # noqa: F401, I001
        from torchmetrics.classification import MulticlassCalibrationError

        return MulticlassCalibrationError(num_classes=num_classes, n_bins=self.bins, norm="l1")

    def weighted(
        self, probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray
    ) -> np.ndarray:
        hit = probabilities.argmax(axis=1) == labels
        confidence = probabilities.max(axis=1)
        gap = hit - confidence.astype(np.float64)
        gaps = sums_by(bin_of(confidence, self.bins), weights * gap, self.bins + 1)
        return np.abs(gaps).sum(axis=1) / weights.sum(axis=1)


def bin_of(confidence: np.ndarray, bins: int) -> np.ndarray:
    """The bin of each probability, `[n]` in [0, bins].

    Bins are [low, high). A probability of exactly 1 has a bin of its own, as in torchmetrics.
    """
    edges = np.linspace(0, 1, bins + 1, dtype=confidence.dtype)
    return np.searchsorted(edges, confidence, side="right") - 1
