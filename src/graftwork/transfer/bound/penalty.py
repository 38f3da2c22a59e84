"""A penalty at work: bound to the classifier of one training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import nn

from graftwork.transfer.parts import Moment


@dataclass(frozen=True)
class Outputs:
    """What a batch gave."""

    images: torch.Tensor  # normalised, float [B, C, S, S]
    features: torch.Tensor  # [B, num_features]
    logits: torch.Tensor  # float32 [B, num_classes]
    targets: torch.Tensor  # [B], or float32 [B, num_classes] where images are mixed
    views: torch.Tensor  # the images before: [B, S, S, 3], uint8, or float32 0 to 255 where mixed


class BoundPenalty(nn.Module, ABC):
    """A module, so that what it has of its own (heads, a teacher) moves to the device and, where
    it asks for gradients, is trained at the rate of the head.

    Attributes:
        covered: names of the classifier's parameters whose weight decay it takes the place of.

    Args:
        weight: how much it counts.
    """

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.covered: frozenset[str] = frozenset()
        self.weight = weight

    def watching(self, backbone: nn.Module) -> AbstractContextManager[object]:
        """Entered around each forward pass whose outputs are penalised."""
        return nullcontext()

    @abstractmethod
    def forward(self, outputs: Outputs, moment: Moment) -> torch.Tensor | None:
        """The penalty of a batch before it is weighted, a scalar; None: nothing to add now."""

    def freeze(self, groups: Sequence[tuple[str, ...]], trained: Sequence[bool]) -> None:
        """Told what is trained from now on.

        Args:
            groups: names of the parameters of each layer group of the backbone, from the stem on.
            trained: whether each group is.
        """
