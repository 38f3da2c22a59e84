"""How gradients become steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graftwork.config.errors import check_range
from graftwork.transfer.parts import Optimiser

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class AdamW(Optimiser):
    """Adam with weight decay decoupled from the gradient (Loshchilov & Hutter 2019)."""

    def __post_init__(self) -> None:
        check_range("weight_decay", self.weight_decay, 0, 1)

    def build(self, groups: Sequence[Mapping[str, Any]]) -> torch.optim.Optimizer:
        import torch

        # Fused takes a third of the time, or less; timm's factory gives the same class.
        return torch.optim.AdamW([dict(group) for group in groups], fused=True)
