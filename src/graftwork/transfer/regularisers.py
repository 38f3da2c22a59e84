"""What keeps weights small, or near where they began."""

from __future__ import annotations

from dataclasses import dataclass

from graftwork.config.errors import check_range
from graftwork.transfer.parts import Regulariser


@dataclass(frozen=True)
class WeightDecay(Regulariser):
    """Towards zero, decoupled from the gradient (Loshchilov & Hutter 2019)."""

    def __post_init__(self) -> None:
        check_range("weight_decay", self.weight_decay, 0, 1)
