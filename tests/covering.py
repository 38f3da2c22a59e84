"""A covering array: few rows, in which every two options of different kinds come together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations

Row = dict[str, str]  # an option of each kind
Option = tuple[str, str]  # kind and option
Pair = tuple[Option, Option]
Options = Mapping[str, Sequence[str]]
Refused = Callable[[Row], str]  # why a row cannot be; empty where it can


def covering(options: Options, refused: Refused, plain: Row) -> tuple[list[Row], dict[Pair, str]]:
    """Rows that together hold every pair of options that goes together at all.

    Greedy: each row begins with a pair that none has yet, and takes in as many others as it can.

    Args:
        plain: a row that can be, of options that go with most.

    Returns:
        rows; and the pairs that one or two further changes do not make possible, with the reason
        why the plain row cannot hold them.
    """
    every = [(kind, option) for kind in sorted(options) for option in options[kind]]
    left = {pair for pair in combinations(every, 2) if pair[0][0] != pair[1][0]}
    rows: list[Row] = []
    never: dict[Pair, str] = {}
    for pair in sorted(left):
        if pair not in left:
            continue
        row = plain | dict(pair)
        free = {kind: found for kind, found in options.items() if kind not in dict(pair)}
        possible = _possible(row, free, refused)
        if possible is None:
            never[pair] = refused(row)
            left.discard(pair)
            continue
        rows.append(_fuller(possible, free, refused, left))
        left -= set(combinations(sorted(rows[-1].items()), 2))
    return rows, never


def _possible(row: Row, free: Options, refused: Refused) -> Row | None:
    """The row, else with one other option, else with two, of which the first changes the reason."""
    why = refused(row)
    if not why:
        return row
    helpful = []
    for other in _changed(row, free):
        said = refused(other)
        if not said:
            return other
        helpful += [other] if said != why else []
    further = (two for one in helpful for two in _changed(one, free))
    return next((two for two in further if not refused(two)), None)


def _changed(row: Row, free: Options) -> Iterator[Row]:
    return (row | {kind: option} for kind, found in free.items() for option in found)


def _fuller(row: Row, free: Options, refused: Refused, left: set[Pair]) -> Row:
    """The row with other options of its free kinds, as long as they bring pairs that are left."""
    for kind in [*free] * 2:
        others = [other for other in row.items() if other[0] != kind]
        gains = {
            option: sum(tuple(sorted(((kind, option), other))) in left for other in others)
            for option in free[kind]
        }
        for option in sorted(gains, key=gains.__getitem__, reverse=True):
            if gains[option] <= gains[row[kind]]:
                break
            if not refused(row | {kind: option}):
                row = row | {kind: option}
                break
    return row
