"""Which weights are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graftwork.config.errors import check_range
from graftwork.transfer.parts import Average

if TYPE_CHECKING:
    import torch

    from graftwork.models.network.classifier import Classifier


@dataclass(frozen=True)
class PartOfTheWay(Average):
    """Part of the way from the first weights to the trained ones (WiSE-FT, Wortsman et al. 2022).

    1 is plain fine-tuning, less forgets less of the source, 0 is the head that training began from.
    Held-out pictures choose one of the points; without them the last one is taken.
    """

    def __post_init__(self) -> None:
        check_range("trained_shares: how many", len(self.trained_shares), 1)
        for share in self.trained_shares:
            check_range("trained_shares", share, 0, 1)

    def place(
        self,
        classifier: Classifier,
        start: Mapping[str, torch.Tensor],
        end: Mapping[str, torch.Tensor],
        share: float,
    ) -> None:
        """1 gives the end and 0 the start, bit for bit."""
        for name, tensor in classifier.state_dict().items():
            if share in (0, 1) or not tensor.is_floating_point():
                tensor.copy_((start if share == 0 else end)[name])
            else:
                tensor.copy_(start[name].lerp(end[name], share))
