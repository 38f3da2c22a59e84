"""What torchmetrics lacks, as torchmetrics objects. Imported at run time only.

In a package of their own: a misspelt `_target_` looks at every module beside the metrics to name
the legal ones, and must not cost an import of torch.
"""

from __future__ import annotations

from typing import Any

import torch

import graftwork.process.vision  # noqa: F401  (torchmetrics imports torchvision)

# isort: split
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassF1Score, MulticlassRecall

from graftwork.metrics.base import SMALLEST


class MeanLogLoss(MeanMetric):
    """Updated with probabilities `[n, num_classes]` and labels `[n]`."""

    def update(self, probabilities: torch.Tensor, labels: torch.Tensor) -> None:  # type: ignore[override]
        own = probabilities.gather(1, labels[:, None])[:, 0]
        super().update(-own.clamp(SMALLEST, 1).log())


def _mean(metric: Any, values: torch.Tensor) -> torch.Tensor:
    """Over the classes that occur.

    `average="macro"` of torchmetrics leaves a class out only if it was never predicted either: one
    wrong prediction of a class without test pictures would count as a class with score 0.
    """
    return values[(metric.tp + metric.fn) > 0].mean()


class OccurringRecall(MulticlassRecall):
    """Recall averaged over the classes with test pictures: balanced accuracy."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes=num_classes, average="none")

    def compute(self) -> torch.Tensor:
        return _mean(self, super().compute())


class OccurringF1(MulticlassF1Score):
    """F1 averaged over the classes with test pictures."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes=num_classes, average="none")

    def compute(self) -> torch.Tensor:
        return _mean(self, super().compute())
