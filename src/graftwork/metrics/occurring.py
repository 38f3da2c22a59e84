"""Torchmetrics' per-class scores, averaged over the classes that occur. Imported at run time only.

`average="macro"` of torchmetrics leaves a class out only if it was never predicted either: one
wrong prediction of a class without test pictures would count as a class with score 0.
"""

from __future__ import annotations

from typing import Any

import torch

import graftwork.vision  # noqa: F401  (torchmetrics imports torchvision)

# isort: split
from torchmetrics.classification import MulticlassF1Score, MulticlassRecall


def _mean(metric: Any, values: torch.Tensor) -> torch.Tensor:
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
