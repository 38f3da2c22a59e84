"""Which pictures choose: the fields of conf/selection, and nothing heavier than they are."""

from __future__ import annotations

from dataclasses import dataclass

from graftwork.config.components import Component
from graftwork.config.errors import check_choice, check_range

METHODS = ("auto", "validation", "matched", "grouped", "random", "none")
GROUPS = ("auto", "column", "folder", "taken", "duplicates")
DIRECTIONS = ("maximize", "minimize")


@dataclass(frozen=True)
class Selection(Component):
    """Where the selection score comes from: the only number that may choose anything."""

    method: str  # see conf/selection; auto: validation where it can be trusted, else matched
    min_val: int  # pictures with which held-out ones may choose an epoch, or `auto` trusts them
    min_expected: int | None  # matched pictures from which on what to expect of new ones chooses
    head_folds: int  # of the cross-validation of heads on stored features
    folds: int  # of networks; 1: one hold-out; K: K trainings, then one on everything
    held_out: float  # share of train and val that one hold-out takes, (0, 0.5]
    group_by: str  # grouped: what makes a group; auto: the first of them that the data has
    gap_minutes: float  # group_by=taken: photos further apart are of two series
    duplicate_cosine: float  # group_by=duplicates: features this similar are of one series
    max_pictures: int  # that are clustered; of larger sets a sample shows where to cut
    direction: str | None  # what a sweeper not known here does with the score it is handed

    def __post_init__(self) -> None:
        check_choice("method", self.method, METHODS)
        check_range("min_val", self.min_val, 1)
        if self.min_expected is not None:
            check_range("min_expected", self.min_expected, 1)
        check_range("head_folds", self.head_folds, 2)
        check_range("folds", self.folds, 1)
        check_range("held_out", self.held_out, 0, 0.5, low_open=True)
        check_choice("group_by", self.group_by, GROUPS)
        check_range("gap_minutes", self.gap_minutes, 0, low_open=True)
        check_range("duplicate_cosine", self.duplicate_cosine, 0, 1)
        check_range("max_pictures", self.max_pictures, 100)
        if self.direction is not None:
            check_choice("direction", self.direction, DIRECTIONS)

    def tells_of_new(self, held_out: int) -> bool:
        """Whether so many held-out pictures tell what to expect of new ones."""
        return self.min_expected is not None and held_out >= self.min_expected
