"""The composable parts of a transfer strategy, as kinds; each part has a file of its own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graftwork.components import Component

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Trainable(Component):
    """What is trained, and what is frozen."""

    @abstractmethod
    def groups(self, groups: Sequence[str], epoch: int) -> list[bool]:
        """Whether each layer group is trained in this epoch.

        A pure function of the epoch, so that what is frozen never depends on what was run before.

        Args:
            groups: names from stem to the last backbone group; the head is always trained
                unless the strategy trains nothing.
        """


@dataclass(frozen=True)
class Rates(Component):
    """The learning rate of each layer group."""

    @abstractmethod
    def of(self, depth: int) -> float:
        """Peak learning rate of the group `depth` steps below the head (the head is 0)."""


@dataclass(frozen=True)
class Regulariser(Component):
    """What keeps weights small, or near where they began."""

    weight_decay: float  # decoupled (AdamW); not applied to biases and normalisation


@dataclass(frozen=True)
class HeadInit(Component):
    """Where the head starts."""

    @property
    @abstractmethod
    def needs_features(self) -> bool:
        """Whether it is computed from stored features."""

    @abstractmethod
    def weights(
        self, features: np.ndarray, labels: np.ndarray, num_classes: int, seed: int
    ) -> tuple[np.ndarray, np.ndarray, dict[str, float]] | None:
        """`[num_classes, num_features]`, `[num_classes]` and facts worth reporting.

        None leaves the head as it was built.
        """
