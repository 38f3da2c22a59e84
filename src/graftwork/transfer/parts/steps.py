"""How training steps: rates, optimiser, schedule, and which pictures come when."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from graftwork.config.components import Component
from graftwork.transfer.parts.moment import Moment

if TYPE_CHECKING:
    import numpy as np
    import torch


@dataclass(frozen=True)
class Rates(Component):
    """The learning rate of each layer group."""

    @property
    def follow_weights(self) -> bool:
        """Whether they are shares of the weights' own sizes."""
        return False

    @property
    @abstractmethod
    def scale(self) -> str:
        """The field in proportion to which all of them are."""

    def times(self, factor: float) -> Rates:
        """The same, each so many times as high."""
        return replace(self, **{self.scale: factor * getattr(self, self.scale)})

    @abstractmethod
    def of(self, depth: int, size: float) -> float:
        """Peak learning rate of a tensor.

        Args:
            depth: of its layer group: how many steps below the head (the head is 0).
            size: root mean square of its values before the first step.
        """


@dataclass(frozen=True)
class Optimiser(Component):
    """How gradients become steps."""

    weight_decay: float  # not applied to biases and normalisation

    @property
    def moves_by_rate(self) -> bool:
        """Whether a step moves a value by about its rate, whatever the gradient, as Adam's does."""
        return True

    @property
    def rate_growth(self) -> float:
        """Exponent with which rates follow the number of images a step.

        1: in proportion (Goyal et al. 2017); 0.5: with its root, which is what keeps the noise of
        optimisers that adapt to the gradient (Malladi et al. 2022).
        """
        return 0.5

    def check(self) -> None:
        """Raises UserError for what only the library behind it can tell; before any work."""

    @abstractmethod
    def build(self, groups: Sequence[Mapping[str, Any]]) -> torch.optim.Optimizer:
        """The optimiser.

        Args:
            groups: of parameters, each with its peak rate `lr` and its `weight_decay`.
        """


@dataclass(frozen=True)
class Schedule(Component):
    """How rates change while training goes on."""

    @property
    def needs_validation(self) -> bool:
        """Whether it follows what held-out pictures say after each epoch."""
        return False

    @abstractmethod
    def factor(self, moment: Moment) -> float:
        """Share of the peak rates at a step; pure: never what was before."""


@dataclass(frozen=True)
class Sampler(Component):
    """Which training pictures an epoch shows, and in which order."""

    @property
    def balances(self) -> bool:
        """Whether rare classes are shown more often than their pictures are many."""
        return False

    @abstractmethod
    def rows(self, labels: np.ndarray, seed: int, epoch: int) -> np.ndarray:
        """The rows of an epoch in order, as many as there are labels; follows from seed and epoch.

        Args:
            labels: integers `[n]` of the pictures that are fitted.

        Returns:
            integers `[n]`; a row may come several times, each time as another random view.
        """
