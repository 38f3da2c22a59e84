"""What is minimised on a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from graftwork.config.errors import check_range
from graftwork.transfer.parts import Objective

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class CrossEntropy(Objective):
    """Cross-entropy, smoothed or not (Szegedy et al. 2016, section 7)."""

    label_smoothing: float  # [0, 1): of the target's mass, spread evenly over all classes

    def __post_init__(self) -> None:
        check_range("label_smoothing", self.label_smoothing, 0, 0.99)

    def loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        from torch.nn import functional as F

        return F.cross_entropy(logits, targets, label_smoothing=self.label_smoothing)
