"""The composable parts of a transfer strategy, as kinds; each part has a file of its own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graftwork.config.components import Component

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Trainable(Component):
    """What is trained, and what is frozen."""

    @property
    def names_groups(self) -> bool:
        """Whether it may ask for layer groups that a network lacks."""
        return False

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
    def of(self, depth: int, size: float) -> float:
        """Peak learning rate of a tensor.

        Args:
            depth: of its layer group: how many steps below the head (the head is 0).
            size: root mean square of its values before the first step.
        """


@dataclass(frozen=True)
class Regulariser(Component):
    """What keeps weights small, or near where they began."""

    weight_decay: float  # decoupled (AdamW); not applied to biases and normalisation


@dataclass(frozen=True)
class FittedHead:
    """A head that was computed from stored features."""

    weight: np.ndarray  # float32 [num_classes, num_features]
    bias: np.ndarray  # float32 [num_classes]
    facts: dict[str, float]  # worth reporting
    # float32 [n, num_classes]: probabilities of every picture by a head of the same kind that had
    # not seen it; NaN where every one had.
    held_out: np.ndarray
    fixed: HeadInit  # the part that gives this head, what it chose left it as the only choice

    def logits(self, features: np.ndarray) -> np.ndarray:
        """float64 `[n, num_classes]` of features `[n, num_features]`."""
        return features.astype("float64") @ self.weight.astype("float64").T + self.bias


@dataclass(frozen=True)
class HeadInit(Component):
    """Where the head starts."""

    @property
    @abstractmethod
    def needs_features(self) -> bool:
        """Whether it is computed from stored features."""

    @abstractmethod
    def fit(
        self, features: np.ndarray, labels: np.ndarray, num_classes: int, fold: np.ndarray
    ) -> FittedHead:
        """The head for these pictures; its own constants are chosen on held-out ones.

        Args:
            features: float32 `[n, num_features]`.
            labels: integers `[n]`.
            fold: `[n]`, in which each is held out; see graftwork.data.folds.
        """

    @abstractmethod
    def cross_validated(
        self, features: np.ndarray, labels: np.ndarray, num_classes: int, fold: np.ndarray
    ) -> np.ndarray:
        """`FittedHead.held_out` alone, of a part that has nothing left to choose."""
