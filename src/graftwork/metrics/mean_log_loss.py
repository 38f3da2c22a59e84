"""Log loss as a torchmetrics object, which torchmetrics lacks. Imported at run time only."""

from __future__ import annotations

import torch

import graftwork.vision  # noqa: F401  (torchmetrics imports torchvision)

# isort: split
from torchmetrics import MeanMetric

from graftwork.metrics.log_loss import SMALLEST


class MeanLogLoss(MeanMetric):
    """Updated with probabilities `[n, num_classes]` and labels `[n]`."""

    def update(self, probabilities: torch.Tensor, labels: torch.Tensor) -> None:  # type: ignore[override]
        own = probabilities.gather(1, labels[:, None])[:, 0]
        super().update(-own.clamp(SMALLEST, 1).log())
