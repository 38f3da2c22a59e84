"""Training that goes on where one ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graftwork.transfer.parts import Moment, Trainable

if TYPE_CHECKING:
    from graftwork.models.network.layout import Layout


@dataclass(frozen=True)
class GoingOn(Trainable):
    """What a strategy trained at one moment, all the time: nothing is frozen or unfrozen again."""

    trainable: Trainable
    ended: Moment

    def groups(self, names: Sequence[str], moment: Moment) -> list[bool]:
        return self.trainable.groups(names, self.ended)

    def parameters(self, layout: Layout, moment: Moment) -> frozenset[str]:
        return self.trainable.parameters(layout, self.ended)
