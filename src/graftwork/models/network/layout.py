"""What a network is made of, as a strategy's parts are told it: names, and no tensors."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property

from graftwork.models.network.layer_groups import LayerGroup

BACKBONE = "backbone."  # before the names of its parameters within a classifier


@dataclass(frozen=True)
class Executed:
    """A layer as it is executed, in the sense of Keras: additions are layers too."""

    kind: str  # convolution, dense, normalisation, activation, addition, concatenation, ...
    parameters: tuple[str, ...]  # its own; names within the classifier


@dataclass(frozen=True)
class Layout:
    """A backbone by the names of its parameters within the classifier."""

    groups: tuple[LayerGroup, ...]  # from the stem on, without the head
    norms: frozenset[str]  # parameters of normalisation, of whatever kind
    batch_norms: frozenset[str]  # those of BatchNorm
    execute: Callable[[], list[Executed]]  # one forward pass

    @property
    def names(self) -> list[str]:
        """Of the layer groups."""
        return [group.name for group in self.groups]

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """All that some group has, in order."""
        return tuple(name for group in self.groups for name in group.parameters)

    @cached_property
    def executed(self) -> list[Executed]:
        """Every layer in the order of execution."""
        return self.execute()

    @cached_property
    def places(self) -> list[int]:
        """The layer group of each executed layer; one without parameters is of the group before."""
        owner = {name: at for at, group in enumerate(self.groups) for name in group.parameters}
        found, current = [], 0
        for layer in self.executed:
            current = next((owner[name] for name in layer.parameters if name in owner), current)
            found.append(current)
        return found

    def of_groups(self, chosen: Collection[bool]) -> frozenset[str]:
        """The parameters of the groups that are chosen."""
        pairs = zip(self.groups, chosen, strict=True)
        return frozenset(name for group, take in pairs if take for name in group.parameters)

    def touched(self, parameters: Collection[str]) -> list[bool]:
        """Whether each group has any of these parameters."""
        wanted = set(parameters)
        return [not wanted.isdisjoint(group.parameters) for group in self.groups]

    def within(self, count: int) -> frozenset[str]:
        """The parameters of the first layers in the order of execution.

        A parameter that no such layer has (a scale of a block, an embedding of positions) is among
        them where all layers of its module are, or of its group if its module is the backbone.

        Args:
            count: of layers.
        """
        first: dict[str, int] = {}
        for at, layer in enumerate(self.executed):
            for name in layer.parameters:
                first.setdefault(name, at)
        found = {name for name, at in first.items() if at < count}
        for group in self.groups:
            for name in group.parameters:
                if name not in first and self._last_beside(name, group, first) < count:
                    found.add(name)
        return frozenset(found)

    def _last_beside(self, name: str, group: LayerGroup, first: dict[str, int]) -> int:
        module = f"{name.rpartition('.')[0]}."
        inside = [at for other, at in first.items() if other.startswith(module)]
        if module == BACKBONE or not inside:
            inside = [first[other] for other in group.parameters if other in first]
        return max(inside, default=0)
