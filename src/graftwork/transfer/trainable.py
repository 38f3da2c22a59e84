"""What is trained, and what is frozen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graftwork.config.errors import UserError, check_range, unknown
from graftwork.transfer.parts import Trainable


@dataclass(frozen=True)
class All(Trainable):
    """Backbone and head."""

    def groups(self, groups: Sequence[str], epoch: int) -> list[bool]:
        return [True] * len(groups)


@dataclass(frozen=True)
class HeadOnly(Trainable):
    """The head; the backbone stays as it is."""

    def groups(self, groups: Sequence[str], epoch: int) -> list[bool]:
        return [False] * len(groups)


@dataclass(frozen=True)
class FromGroup(Trainable):
    """Everything from one layer group on; the groups before it stay as they are."""

    first: str  # name of the first trained group (blocks.3), or how many groups to freeze (4)

    @property
    def names_groups(self) -> bool:
        return True

    def groups(self, groups: Sequence[str], epoch: int) -> list[bool]:
        """Raises UserError for a name that matches no group, or a number beyond the last."""
        if self.first.isdecimal():
            frozen = int(self.first)
            if frozen > len(groups):
                raise UserError(
                    f"transfer.trainable.first: {frozen} is out of bounds. Legal: 0 to "
                    f"{len(groups)} (all of the backbone), or a name: {', '.join(groups)}."
                )
        elif self.first in groups:
            frozen = list(groups).index(self.first)
        else:
            raise unknown("transfer.trainable.first", self.first, groups)
        return [index >= frozen for index in range(len(groups))]


@dataclass(frozen=True)
class LaterGroups(Trainable):
    """All but the earliest layer groups, whatever the network calls them.

    The first layers see the largest maps and change least: freezing them costs little accuracy
    and saves the most expensive part of every backward pass.
    """

    frozen_share: float  # of the backbone's layer groups, rounded down; [0, 1]

    def __post_init__(self) -> None:
        check_range("frozen_share", self.frozen_share, 0, 1)

    def groups(self, groups: Sequence[str], epoch: int) -> list[bool]:
        frozen = int(self.frozen_share * len(groups) + 1e-9)  # 0.1 * 30 is a little under 3
        return [index >= frozen for index in range(len(groups))]
