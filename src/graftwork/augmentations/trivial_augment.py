"""TrivialAugment: one operation of a magnitude by chance (Müller & Hutter, ICCV 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graftwork.augmentations.automatic import Automatic, drawn_operation
from graftwork.augmentations.operations import Operation
from graftwork.augmentations.spaces import LEVELS, SPACES, space
from graftwork.config.errors import check_choice


@dataclass(frozen=True)
class TrivialAugment(Automatic):
    """Nothing to tune: one operation out of 14, at one of 31 magnitudes."""

    ranges: str  # of magnitudes: wide, or standard, which are RandAugment's

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("ranges", self.ranges, SPACES)

    def space(self, side: int) -> list[Operation]:
        return space(self.ranges, side)

    def arguments(self) -> dict[str, Any]:
        return {"operations": 1, "magnitude": f"any of 0 to {LEVELS - 1}", "ranges": self.ranges}

    def changed(
        self, picture: np.ndarray, space: Sequence[Operation], numbers: np.random.Generator
    ) -> np.ndarray:
        which, level = int(numbers.integers(len(space))), int(numbers.integers(LEVELS))
        share = level / (LEVELS - 1)
        return drawn_operation(picture, space[which], share, numbers, self.fill)
