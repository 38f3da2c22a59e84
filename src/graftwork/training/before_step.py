"""What a step changes before its gradient is known, to be given back where it is not taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from graftwork.models.batch_norm import moves_statistics
from graftwork.training.resuming.states import buffers_of, metrics_of, random_of, set_random

if TYPE_CHECKING:
    from graftwork.training.graft_module import GraftModule


class BeforeStep:
    """Statistics of BatchNorm, sums of metrics and torch's generators, as a step found them.

    Weights, optimiser and schedule move only when the step is taken.
    """

    def __init__(self, module: GraftModule) -> None:
        moves = moves_statistics(module.transfer.batch_norm)
        self._device = module.device
        self._buffers = [buffer for _, buffer in buffers_of(module)] if moves else []
        self._copies = [buffer.clone() for buffer in self._buffers]
        self._metrics = metrics_of(module)
        self.note()

    def note(self) -> None:
        """A step begins."""
        self._random = random_of(self._device)
        for copy, buffer in zip(self._copies, self._buffers, strict=True):
            copy.copy_(buffer)
        self._sums = [
            {name: torch.as_tensor(value).clone() for name, value in metric.metric_state.items()}
            for metric in self._metrics
        ]

    def give_back(self) -> None:
        """All is as it was when the step began."""
        for copy, buffer in zip(self._copies, self._buffers, strict=True):
            buffer.copy_(copy)
        for metric, sums in zip(self._metrics, self._sums, strict=True):
            for name, value in sums.items():
                setattr(metric, name, value)
        set_random(self._random, self._device)
