"""What every augmentation policy offers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from graftwork.config.components import Component
from graftwork.models.base import InputSpec

# Ways to mirror a picture. One that mirrors both ways may turn it by half a circle, too.
LEFT_RIGHT = "left_right"
UPSIDE_DOWN = "upside_down"


@dataclass(frozen=True)
class Step:
    """One transform of a policy, as `graftwork preview` names it."""

    name: str
    arguments: Mapping[str, Any]
    inner: Sequence[Step]  # what it chooses from, or does one after the other


class Augment(Protocol):
    """One seeded pass over one picture."""

    def __call__(self, image: np.ndarray, epoch: int, index: int) -> np.ndarray:
        """uint8 `[H, W, 3]` of any size to uint8 `[size, size, 3]`.

        The same (seed, epoch, index) gives the same picture, whichever worker draws it. For stored
        views of a picture the epoch is the view's number.
        """

    def steps(self) -> list[Step]:
        """What it does, in order, by name and with all arguments."""


@dataclass(frozen=True)
class Augmentation(Component):
    """A policy of random changes to training pictures."""

    name: str

    @property
    def mirrors(self) -> tuple[str, ...]:
        """Ways to mirror (LEFT_RIGHT, UPSIDE_DOWN) after which a picture still shows its class.

        Views at test time are mirrored so, and in no other way.
        """
        return ()

    @property
    def is_still(self) -> bool:
        """Whether training sees what evaluation sees, in every epoch."""
        return False

    def check(self) -> None:  # noqa: B027  (most have nothing to ask)
        """Raises UserError for what only the library behind it can tell; before any work."""

    @abstractmethod
    def build(self, input_spec: InputSpec, seed: int) -> Augment:
        """The policy for one network's input."""
