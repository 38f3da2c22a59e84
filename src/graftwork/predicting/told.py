"""What the terminal says of predictions."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from graftwork.predicting.tally import Tally
from graftwork.process.terminal import literal
from graftwork.reporting.numbers import number, percent

SHOWN = 20  # photos without an answer


def show(tally: Tally, classes: Sequence[str], top: int, console: Console | None = None) -> None:
    """First rows, and a line for each class that was said."""
    console = console or Console()
    if tally.first:
        console.print(_rows(tally, classes, top))
    if tally.answered > 1:
        console.print(_summary(tally))


def show_unread(tally: Tally, everything: bool, console: Console | None = None) -> None:
    """Photos without an answer, each with the reason; some of many.

    Args:
        everything: whether no file has them all.
    """
    console = console or Console(stderr=True)
    shown = tally.unread if everything else tally.unread[:SHOWN]
    for path, reason in shown:
        console.print(literal(f"no answer: {path}: {reason}"), soft_wrap=True)
    if rest := len(tally.unread) - len(shown):
        console.print(literal(f"... and {rest} more."), soft_wrap=True)


def _rows(tally: Tally, classes: Sequence[str], top: int) -> Table:
    table = Table(show_edge=False, pad_edge=False, box=None)
    table.add_column("photo", overflow="fold")
    count = min(top, len(classes))
    for place in range(1, count + 1):
        table.add_column("class" if place == 1 else f"{place}.", overflow="fold")
        table.add_column("", justify="right", no_wrap=True)
    folder = _shared_folder([answer.path for answer in tally.first])
    for answer in tally.first:
        cells = [literal(os.path.relpath(answer.path, folder) if folder else answer.path)]
        for label in answer.likeliest(count):
            share = percent(float(answer.probabilities[label]))
            cells += [literal(classes[label]), literal(share)]
        table.add_row(*cells)
    more = tally.answered - len(tally.first)
    if more:
        table.caption = f"the first {len(tally.first)} of {number(tally.answered)}"
        table.caption_justify = "left"
    return table


def _shared_folder(paths: Sequence[str]) -> str:
    """What need not be said in each row; nothing where relative and absolute paths are mixed."""
    if len({os.path.isabs(path) for path in paths}) > 1:
        return ""
    return os.path.commonpath(list(map(os.path.dirname, paths)))


def _summary(tally: Tally) -> Table:
    table = Table(show_edge=False, pad_edge=False, box=None)
    table.add_column("class", overflow="fold")
    for title in ("photos", "share", "mean probability"):
        table.add_column(title, justify="right", no_wrap=True)
    said = [(of.count, name, of.total) for name, of in tally.by_class.items() if of.count]
    for count, name, total in sorted(said, key=lambda row: -row[0]):
        cells = [number(count), percent(count / tally.answered), percent(total / count)]
        table.add_row(literal(name), *map(literal, cells))
    return table
