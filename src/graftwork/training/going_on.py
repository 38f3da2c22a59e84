"""Training that goes on where one ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from graftwork.transfer.parts import Moment, Schedule, Trainable

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


@dataclass(frozen=True)
class StillLow(Schedule):
    """A schedule to which held-out pictures have said what they had said at one moment: rates that
    had fallen by then stay low."""

    schedule: Schedule
    ended: Moment

    def factor(self, moment: Moment) -> float:
        return self.schedule.factor(replace(moment, validated=self.ended.validated))
