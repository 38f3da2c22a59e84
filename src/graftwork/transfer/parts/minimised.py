"""What is minimised: an objective, and what is added to it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graftwork.config.components import Component
from graftwork.transfer.parts.moment import Facts

if TYPE_CHECKING:
    from graftwork.models.network.classifier import Classifier
    from graftwork.transfer.at_hand import AtHand
    from graftwork.transfer.bound.objective import BoundObjective
    from graftwork.transfer.bound.penalty import BoundPenalty


@dataclass(frozen=True)
class Objective(Component):
    """What is minimised on a batch."""

    @property
    def mixes(self) -> bool:
        """Whether it mixes pictures, so that it needs them."""
        return False

    @property
    def weighs_classes(self) -> bool:
        """Whether rare classes count for more than their pictures are many."""
        return False

    @abstractmethod
    def bound(self, facts: Facts) -> BoundObjective:
        """The objective at work on one training."""


@dataclass(frozen=True)
class Penalty(Component):
    """What is added to the objective."""

    @property
    def is_none(self) -> bool:
        """Whether it never adds anything."""
        return False

    @property
    def looks_inside(self) -> bool:
        """Whether it looks at pictures, or at maps inside the backbone: it needs all of a forward
        pass. One that looks at weights, features and logits alone says that it does not."""
        return True

    @property
    def needs_learnt_start(self) -> bool:
        """Whether it holds on to what the first weights have learnt."""
        return False

    @property
    def needs_fitted_head(self) -> bool:
        """Whether it asks the head that training begins from."""
        return False

    @property
    def needs_source_head(self) -> bool:
        """Whether it asks the classifier that the backbone was pretrained with."""
        return False

    @property
    def networks(self) -> int:
        """Copies of the network's weights that it keeps while training lasts; a teacher of another
        kind is not counted."""
        return 0

    def check(self, place: str) -> None:
        """Looks at what it names on disk, without torch.

        Args:
            place: its key in the configuration, for messages.

        Raises:
            UserError: it is not there, or is none.
        """

    def receipt(self) -> dict[str, Any]:
        """Plain values for the model's contract: which files it learnt from, by their sha256."""
        return {}

    def check_classes(self, place: str, classes: Sequence[str]) -> None:
        """Raises UserError where what it names on disk does not fit these classes."""

    @abstractmethod
    def bound(
        self, classifier: Classifier, objective: BoundObjective, facts: Facts, at_hand: AtHand
    ) -> AbstractContextManager[BoundPenalty | None]:
        """While training lasts: what adds the penalty of this classifier to the loss of a batch.

        Entered before the first step, in every process, with the weights that training begins from.

        Returns:
            None inside the context where there is nothing to add.
        """
