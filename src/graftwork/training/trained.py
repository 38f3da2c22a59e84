"""What a training gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from graftwork.selecting.record import GoneBack
from graftwork.training.stored_prefix import StoredPrefix
from graftwork.transfer.parts import Moment

if TYPE_CHECKING:
    from graftwork.training.plan import Plan


@dataclass(frozen=True)
class Trained:
    """What training gave."""

    epoch: int  # whose weights were kept, from 1; of several the last
    chose: str  # which epochs, in words: what held-out pictures chose; empty where nothing
    steps: int  # of the attempt that was kept
    trainable: int  # parameters, of what is kept
    further: int  # ones of penalties, which are not kept
    start: dict[str, torch.Tensor]  # the state dict before the first step
    prefix: StoredPrefix | None  # whose maps were trained on; None: pictures were
    gone_back: list[GoneBack]  # attempts that destroyed the network
    factor: float  # of the rates of the attempt that was kept
    ended: Moment  # the beginning of the epoch whose weights were kept
    validated: tuple[float, ...]  # held-out loss after each epoch, where pictures were held out
    plan: Plan | None  # of the attempt that was kept; None: none began
    came_back: bool  # False: none did, and the classifier is as it was before

    @property
    def destroyed(self) -> bool:
        return not self.came_back
