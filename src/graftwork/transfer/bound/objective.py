"""An objective at work: bound to one training."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn


class BoundObjective(nn.Module, ABC):
    """A module, so that what it knows of the training (weights of classes) moves to the device."""

    def mix(
        self, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The images that are trained on, and their targets; as they are unless they are mixed.

        Args:
            images: uint8 `[B, S, S, 3]`.
            labels: int64 `[B]`.
            generator: of everything random; follows from seed, step and process.

        Returns:
            images of the same shape, uint8 or float32 of the same range, and targets: `[B]`, or
            float32 `[B, num_classes]`.
        """
        return images, labels

    @abstractmethod
    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The mean over the batch, of float32 `[B, num_classes]` and targets of `mix`."""


def larger_share(targets: torch.Tensor) -> torch.Tensor:
    """Labels `[B]` that a prediction is counted against: where images are mixed, of the one that
    has the larger share."""
    return targets if targets.ndim == 1 else targets.argmax(1)
