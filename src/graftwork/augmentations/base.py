"""What every augmentation policy offers."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from graftwork.config.components import Component
from graftwork.models.base import InputSpec


class Augment(Protocol):
    """One seeded pass over one picture."""

    def __call__(self, image: np.ndarray, epoch: int, index: int) -> np.ndarray:
        """uint8 `[H, W, 3]` of any size to uint8 `[size, size, 3]`.

        The same (seed, epoch, index) gives the same picture, whichever worker draws it.
        """


@dataclass(frozen=True)
class Augmentation(Component):
    """A policy of random changes to training pictures."""

    name: str

    @abstractmethod
    def build(self, input_spec: InputSpec, seed: int) -> Augment:
        """The policy for one network's input."""
