"""What is trained, and what is frozen: whole layer groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graftwork.config.errors import UserError, check_range, unknown
from graftwork.transfer.parts import Moment, Trainable


@dataclass(frozen=True)
class All(Trainable):
    """Backbone and head."""

    def groups(self, names: Sequence[str], moment: Moment) -> list[bool]:
        return [True] * len(names)


@dataclass(frozen=True)
class HeadOnly(Trainable):
    """The head; the backbone stays as it is."""

    def groups(self, names: Sequence[str], moment: Moment) -> list[bool]:
        return [False] * len(names)


@dataclass(frozen=True)
class FromGroup(Trainable):
    """Everything from one layer group on; the names before it stay as they are."""

    first: str  # name of the first trained group (blocks.3), or how many names to freeze (4)

    @property
    def names_groups(self) -> bool:
        return True

    def groups(self, names: Sequence[str], moment: Moment) -> list[bool]:
        """Raises UserError for a name that matches no group, or a number beyond the last."""
        if self.first.isdecimal():
            frozen = int(self.first)
            if frozen > len(names):
                raise UserError(
                    f"transfer.trainable.first: {frozen} is out of bounds. Legal: 0 to "
                    f"{len(names)} (all of the backbone), or a name: {', '.join(names)}."
                )
        elif self.first in names:
            frozen = list(names).index(self.first)
        else:
            raise unknown("transfer.trainable.first", self.first, names)
        return [index >= frozen for index in range(len(names))]


@dataclass(frozen=True)
class LaterGroups(Trainable):
    """All but the earliest layer names, whatever the network calls them.

    The first layers see the largest maps and change least: freezing them costs little accuracy
    and saves the most expensive part of every backward pass.
    """

    frozen_share: float  # of the backbone's layer names, rounded down; [0, 1]

    def __post_init__(self) -> None:
        check_range("frozen_share", self.frozen_share, 0, 1)

    def groups(self, names: Sequence[str], moment: Moment) -> list[bool]:
        frozen = int(self.frozen_share * len(names) + 1e-9)  # 0.1 * 30 is a little under 3
        return [index >= frozen for index in range(len(names))]


@dataclass(frozen=True)
class LastGroups(Trainable):
    """The last layer groups of the backbone."""

    count: int

    def __post_init__(self) -> None:
        check_range("count", self.count, 0)

    @property
    def names_groups(self) -> bool:
        return True

    def groups(self, names: Sequence[str], moment: Moment) -> list[bool]:
        """Raises UserError for more groups than there are."""
        if self.count > len(names):
            raise UserError(
                f"transfer.trainable.count: {self.count} is out of bounds. Legal: 0 to "
                f"{len(names)} (all of the backbone: {', '.join(names)})."
            )
        return [index >= len(names) - self.count for index in range(len(names))]


@dataclass(frozen=True)
class Blocks(Trainable):
    """Chosen layer groups alone (surgical fine-tuning, Lee et al. 2023).

    Which block is best depends on what differs: the first where pictures look different, a middle
    one where known features are put together differently, the last where answers mean something
    else.
    """

    blocks: list[str]  # first (with the stem), middle, last, or names of layer groups

    def __post_init__(self) -> None:
        check_range("blocks: how many", len(self.blocks), 1)

    @property
    def names_groups(self) -> bool:
        return True

    def groups(self, names: Sequence[str], moment: Moment) -> list[bool]:
        """Raises UserError for a name that matches no group."""
        chosen = {at for block in self.blocks for at in self._places(block, names)}
        return [at in chosen for at in range(len(names))]

    def _places(self, block: str, names: Sequence[str]) -> Sequence[int]:
        """Of one block among the groups. The stem is no block; the first one brings it along."""
        last = len(names) - 1
        places = {"first": range(min(2, last + 1)), "middle": [(last + 1) // 2], "last": [last]}
        if block in names:
            return [list(names).index(block)]
        if block not in places:
            raise unknown("transfer.trainable.blocks", block, [*places, *names])
        return places[block]
