"""How images are mixed."""

from __future__ import annotations

from dataclasses import dataclass

from graftwork.config.components import Component
from graftwork.config.errors import check_range


@dataclass(frozen=True)
class Mix(Component):
    """Images mixed in pairs: whole (mixup, Zhang et al. 2018) or one with a rectangle of the other
    (CutMix, Yun et al. 2019). Both 0: none is."""

    mixup: float  # a of the distribution Beta(a, a) that an image's share is drawn from; 0: off
    cutmix: float  # likewise
    share: float  # of batches that are mixed, [0, 1]
    cutmix_share: float  # of these, where both are on, by CutMix

    def __post_init__(self) -> None:
        check_range("mixup", self.mixup, 0, 100)
        check_range("cutmix", self.cutmix, 0, 100)
        check_range("share", self.share, 0, 1)
        check_range("cutmix_share", self.cutmix_share, 0, 1)

    @property
    def mixes(self) -> bool:
        return bool(self.share and (self.mixup or self.cutmix))
