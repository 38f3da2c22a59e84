"""A training whose numbers are none any more: at which step, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graftwork.config.errors import UserError

NAMED = 3  # pictures of a batch that a message names
REMEDY = (
    "Lower the learning rate (transfer.rates), lengthen transfer.schedule.warmup, or set "
    "trainer.precision=fp32."
)


@dataclass(frozen=True)
class Step:
    """A step that was not taken. Numbers are means over all processes."""

    epoch: int  # from 0
    step: int  # of the epoch, from 0
    batch: int  # of the epoch, from 0: its first
    done: int  # steps of the training before it
    loss: float  # of the objective
    total: float  # what is minimised
    norm: float  # of the gradient, before it is clipped
    wrong: str  # what is wrong with it

    def __str__(self) -> str:
        return f"{self.wrong} in epoch {self.epoch + 1}, step {self.step + 1}"


class Diverged(UserError):
    """A loss, a gradient or a weight is no number any more, or a loss is beyond all others.

    Args:
        step: steps that were done.
        at: the step that was not taken; None: a step was taken that cannot be taken back.
        kept: what became of the training, and what to do.
    """

    def __init__(self, what: str, step: int, at: Step | None = None, kept: str = "") -> None:
        kept = kept or f"Nothing of it was kept. {REMEDY}"
        super().__init__(f"training diverged: {what}. {kept}")
        self.step, self.at = step, at
        self.tags = {"diverged": str(at or what)}


def pictures_named(paths: Sequence[str]) -> str:
    """The first few, and how many more there are."""
    more = len(paths) - NAMED
    return ", ".join(paths[:NAMED]) + (f" and {more} more" if more > 0 else "")
