"""Batch spectral shrinkage at work."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from graftwork.transfer.bound.penalty import BoundPenalty, Outputs
from graftwork.transfer.parts import Moment


class SmallestSingularValues(BoundPenalty):
    """The sum of the squares of the k smallest singular values of the features `[B, F]`."""

    def __init__(self, weight: float, count: int) -> None:
        super().__init__(weight)
        self.count = count
        self.active = True

    def freeze(self, groups: Sequence[tuple[str, ...]], trained: Sequence[bool]) -> None:
        """The features of a frozen backbone cannot follow."""
        self.active = any(trained)

    def forward(self, outputs: Outputs, moment: Moment) -> torch.Tensor | None:
        if not self.active:
            return None
        with torch.autocast(outputs.features.device.type, enabled=False):
            values = torch.linalg.svdvals(outputs.features.float())  # the largest first
        return values[-self.count :].square().sum()
