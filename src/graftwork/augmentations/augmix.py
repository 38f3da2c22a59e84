"""AugMix: several chains of operations, mixed with the picture (Hendrycks et al., ICLR 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graftwork.augmentations.automatic import Automatic, drawn_operation
from graftwork.augmentations.operations import Operation
from graftwork.augmentations.spaces import augmix_space
from graftwork.config.errors import check_range

SEVEREST = 10
WEAKEST = 0.1  # a level is drawn from here to the severity, as in the authors' code


@dataclass(frozen=True)
class AugMix(Automatic):
    """(1 - m) x + m (w1 chain1(x) + ... + wk chaink(x)): algorithm 1 of the paper.

    w ~ Dirichlet(alpha, ..., alpha), m ~ Beta(alpha, alpha). Its consistency loss (Jensen-Shannon)
    is no part of it.
    """

    severity: int  # of an operation at most, 1 to 10
    width: int  # chains
    depth: int  # operations of a chain at most; how many, 1 to depth, is drawn
    alpha: float  # of Dirichlet and Beta

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("severity", self.severity, 1, SEVEREST)
        check_range("width", self.width, 1, 10)
        check_range("depth", self.depth, 1, 10)
        check_range("alpha", self.alpha, 0, 100, low_open=True)

    def space(self, side: int) -> list[Operation]:
        return augmix_space(side)

    def arguments(self) -> dict[str, Any]:
        own = {"severity": f"up to {self.severity} of {SEVEREST}", "width": self.width}
        return {**own, "depth": f"1 to {self.depth}", "alpha": self.alpha}

    def changed(
        self, picture: np.ndarray, space: Sequence[Operation], numbers: np.random.Generator
    ) -> np.ndarray:
        weights = numbers.dirichlet([self.alpha] * self.width)
        share = numbers.beta(self.alpha, self.alpha)
        mixed = np.zeros(picture.shape)
        for weight in weights:
            mixed += weight * self._chain(picture, space, numbers)
        return np.rint((1 - share) * picture + share * mixed).astype(np.uint8)

    def _chain(
        self, picture: np.ndarray, space: Sequence[Operation], numbers: np.random.Generator
    ) -> np.ndarray:
        for _ in range(numbers.integers(1, self.depth + 1)):
            operation = space[int(numbers.integers(len(space)))]
            share = numbers.uniform(WEAKEST, self.severity) / SEVEREST
            picture = drawn_operation(picture, operation, share, numbers, self.fill)
        return picture
