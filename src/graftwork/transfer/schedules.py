"""How rates change while training goes on."""

from __future__ import annotations

import math
from dataclasses import dataclass

from graftwork.config.errors import check_range
from graftwork.transfer.parts import Moment, Schedule


@dataclass(frozen=True)
class WarmupCosine(Schedule):
    """From 0 to the peak in equal steps, then a cosine back to 0 (Loshchilov & Hutter 2017).

    timm's scheduler holds state that moves with each call; this one follows from the step alone.
    """

    warmup: float  # share of the steps, [0, 1]

    def __post_init__(self) -> None:
        check_range("warmup", self.warmup, 0, 1)

    def factor(self, moment: Moment) -> float:
        step, steps, warmup = moment.step, moment.steps, self.warmup * moment.steps
        if step < warmup:
            return (step + 1) / (math.floor(warmup) + 1)
        done = min(1.0, (step - warmup) / max(1.0, steps - warmup))
        return 0.5 * (1 + math.cos(math.pi * done))
