"""What is trained of a network, and what is attached to it meanwhile."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graftwork.config.components import Component
from graftwork.transfer.parts.moment import Moment

if TYPE_CHECKING:
    from graftwork.models.network.classifier import Classifier
    from graftwork.models.network.layout import Layout


@dataclass(frozen=True)
class Trainable(Component):
    """What is trained, and what is frozen."""

    @property
    def names_groups(self) -> bool:
        """Whether it may ask for layer groups, layers or parameters that a network lacks."""
        return False

    @property
    def needs_validation(self) -> bool:
        """Whether it decides by what held-out pictures say after each epoch."""
        return False

    @abstractmethod
    def groups(self, names: Sequence[str], moment: Moment) -> list[bool]:
        """Whether anything of each layer group may be trained at this moment.

        A pure function of it, so that what is frozen never depends on what was run before. What
        changes, changes at the beginning of an epoch.

        Args:
            names: from stem to the last backbone group; the head is always trained unless the
                strategy trains nothing.
        """

    def parameters(self, layout: Layout, moment: Moment) -> frozenset[str]:
        """Which parameters of the backbone are trained at this moment: whole groups, unless a part
        says otherwise. As pure as `groups`, and within them.

        Raises:
            UserError: the network lacks what is asked for.
        """
        return layout.of_groups(self.groups(layout.names, moment))

    def asked(self, layout: Layout, epochs: int) -> dict[str, frozenset[str]]:
        """The parameters that are asked for, by the words that ask; some may be kept all the same,
        as BatchNorm's are where it is frozen."""
        return {"transfer.trainable": self.ever_parameters(layout, epochs)}

    def notes(self, layout: Layout) -> list[str]:
        """What a reader of the plan should know besides, a sentence each."""
        return []

    def moments(self, names: Sequence[str], epochs: int) -> list[Moment]:
        """The beginning of every epoch; of a part that decides by held-out pictures, as if they
        asked for everything as early as they can."""
        return [Moment.of_epoch(epoch, epochs) for epoch in range(epochs)]

    def ever(self, names: Sequence[str], epochs: int) -> list[bool]:
        """Whether anything of each layer group may be trained in any of so many epochs."""
        each = [self.groups(names, moment) for moment in self.moments(names, epochs)]
        return [any(trained) for trained in zip(*each, strict=True)] or [False] * len(names)

    def ever_parameters(self, layout: Layout, epochs: int) -> frozenset[str]:
        """The parameters of the backbone that are trained in any of so many epochs."""
        each = [self.parameters(layout, moment) for moment in self.moments(layout.names, epochs)]
        return frozenset[str]().union(*each)


@dataclass(frozen=True)
class Adapter(Component):
    """What is attached to a network while it trains, and merged into its weights afterwards.

    Outside of training a network is a plain one: averages, the model folder and everything behind
    it know no adapters.
    """

    @property
    def is_none(self) -> bool:
        """Whether nothing is attached at all."""
        return False

    @property
    def is_steady(self) -> bool:
        """Whether a network with it computes the same at every step, but for its weights."""
        return False

    @property
    def names_layers(self) -> bool:
        """Whether it may ask for layers that a network lacks: then attaching it says so."""
        return False

    def check(self, batch_norm: str) -> None:
        """Raises UserError for a mode of BatchNorm that it cannot work with."""

    @abstractmethod
    def attach(self, classifier: Classifier, seed: int) -> None:
        """Attaches it; the network still computes what it computed before.

        Args:
            seed: of whatever is random about it.
        """

    @abstractmethod
    def merge(self, classifier: Classifier) -> None:
        """Takes it off again: parameters and buffers have their plain names, and the network in
        eval mode computes what it computed with the adapter."""

    def tell(self, classifier: Classifier, moment: Moment, seed: int) -> None:
        """Told the moment of a step before its forward pass; what it draws follows from that."""
