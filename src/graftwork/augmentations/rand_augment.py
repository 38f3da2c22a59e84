"""RandAugment: several operations by chance, all of one magnitude (Cubuk et al., NeurIPS 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graftwork.augmentations.automatic import Automatic, drawn_operation
from graftwork.augmentations.operations import Operation
from graftwork.augmentations.spaces import LEVELS, space
from graftwork.config.errors import check_range


@dataclass(frozen=True)
class RandAugment(Automatic):
    """N operations, each drawn anew out of 14."""

    operations: int  # the paper's N
    magnitude: int  # the paper's M, on a scale from 0 to 30

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("operations", self.operations, 1, 10)
        check_range("magnitude", self.magnitude, 0, LEVELS - 1)

    def space(self, side: int) -> list[Operation]:
        return space("standard", side)

    def arguments(self) -> dict[str, Any]:
        return {"operations": self.operations, "magnitude": f"{self.magnitude} of {LEVELS - 1}"}

    def changed(
        self, picture: np.ndarray, space: Sequence[Operation], numbers: np.random.Generator
    ) -> np.ndarray:
        share = self.magnitude / (LEVELS - 1)
        for which in numbers.integers(len(space), size=self.operations):
            picture = drawn_operation(picture, space[which], share, numbers, self.fill)
        return picture
