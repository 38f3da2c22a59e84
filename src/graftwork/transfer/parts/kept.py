"""Which weights are kept."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graftwork.config.components import Component

if TYPE_CHECKING:
    import torch

    from graftwork.models.network.classifier import Classifier
    from graftwork.transfer.bound.gathering import Gathering


@dataclass(frozen=True)
class Average(Component):
    """Which weights are kept: of the last step, of several, or of a point between."""

    trained_shares: list[float]  # points on the way that held-out pictures choose from, [0, 1]

    @abstractmethod
    def gathering(self, asked: bool, enough: bool) -> Gathering | None:
        """What gathers the weights of one training; None: the last ones are kept.

        Args:
            asked: whether held-out pictures are asked after each epoch.
            enough: whether they are `selection.min_val` or more, so that epochs can be told apart.
        """

    @abstractmethod
    def place(
        self,
        classifier: Classifier,
        start: Mapping[str, torch.Tensor],
        end: Mapping[str, torch.Tensor],
        share: float,
    ) -> None:
        """Sets the classifier's weights to a point of the way from start to end."""
