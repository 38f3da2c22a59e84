"""Stochastic normalisation at work (Kou et al. 2020)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from graftwork.models.network.classifier import BATCH_NORMS

if TYPE_CHECKING:
    from graftwork.models.network.classifier import Classifier


class Drawn:
    """The forward pass of a BatchNorm whose channels are normalised by the batch or by the moving
    statistics, as was drawn for the step; in eval mode the plain one.

    What follows inside the module (timm's have an activation) works on each value alone, so that
    choosing among outputs is choosing among normalised values.
    """

    def __init__(self, norm: nn.Module) -> None:
        self.norm, self.plain = norm, norm.forward
        self.by_batch: torch.Tensor | None = None  # booleans [C]

    def __call__(self, maps: torch.Tensor) -> torch.Tensor:
        """`[B, C, ...]` to the same."""
        if not self.norm.training or self.by_batch is None:
            return self.plain(maps)
        self.norm.training = False  # it alone: what it holds may be a dropout
        moving = self.plain(maps)  # before the batch moves the statistics
        self.norm.training = True
        batch = self.plain(maps)
        shape = (1, -1, *(1 for _ in maps.shape[2:]))
        return torch.where(self.by_batch.to(maps.device).view(shape), batch, moving)


def attach(classifier: Classifier) -> None:
    for module in classifier.backbone.modules():
        if isinstance(module, BATCH_NORMS) and module.running_mean is not None:
            norm: Any = module
            norm.forward = Drawn(norm)


def merge(classifier: Classifier) -> None:
    """Every BatchNorm is a plain one again."""
    for drawn in _drawn(classifier):
        del drawn.norm.forward


def draw(classifier: Classifier, batch_share: float, seed: int, step: int) -> None:
    """Draws anew for each channel; the same in every process.

    Args:
        batch_share: probability of the batch's statistics.
    """
    digest = hashlib.sha256(f"stochastic normalisation {seed} {step}".encode()).digest()
    random = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
    for drawn in _drawn(classifier):
        norm: Any = drawn.norm
        drawn.by_batch = torch.rand(norm.num_features, generator=random) < batch_share


def _drawn(classifier: Classifier) -> Iterator[Drawn]:
    """In the order of the modules."""
    for module in classifier.backbone.modules():
        if isinstance(forward := module.__dict__.get("forward"), Drawn):
            yield forward
