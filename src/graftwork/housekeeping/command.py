"""`graftwork store`: shows what the store holds, and what pruning takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from graftwork.housekeeping.amounts import DAY, seconds, size
from graftwork.housekeeping.contents import Piece, pieces
from graftwork.housekeeping.pruning import chosen, remove
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.leftovers import leftovers
from graftwork.storage.leftovers import remove as remove_leftover

NARROWED = (
    "Of what is whole nothing goes: add --older-than 30d, --larger-than 5GB, --unreferenced or "
    "several of them."
)
AGES = {"< 1 day": DAY, "< 1 week": 7 * DAY, "< 30 days": 30 * DAY, "longer": float("inf")}


def show_store(root: Path) -> None:
    """Prints what the project's store holds.

    Raises:
        UserError: there is no store.
    """
    store = Artifacts.at(root).store
    print(f"{store}, by when it was last used:")
    show(pieces(store), time.time())


@dataclass(frozen=True)
class Wanted:
    """What should go, in the user's words; None: not said."""

    older_than: str | None  # 30d
    larger_than: str | None  # 5GB
    unreferenced: bool  # only that which no recorded run refers to

    @property
    def is_empty(self) -> bool:
        return self == Wanted(None, None, False)


def prune(root: Path, wanted: Wanted, *, really: bool) -> None:
    """Prints what goes, and removes it if `really`: first what killed processes left behind.

    Raises:
        UserError: there is no store; no duration, no size; no runs are recorded that could refer to
            anything.
    """
    store, now = Artifacts.at(root).store, time.time()
    age = None if wanted.older_than is None else seconds(wanted.older_than, "--older-than")
    most = None if wanted.larger_than is None else size(wanted.larger_than, "--larger-than")
    found = pieces(store)
    _clean(root, really)
    if wanted.is_empty:
        print(NARROWED)
        return
    if wanted.unreferenced:
        going = _unreferenced(root, found, now, age, most)
    else:
        going = chosen(found, now, age, most)
    print(f"{store}, what {'goes' if really else 'would go'}:")
    show(going, now)
    if not really:
        print("Nothing was removed: add --yes to remove it.")
        return
    gone = remove(going, store)
    kept = len(going) - len(gone)
    in_use = f" {kept} stayed: another process holds them." if kept else ""
    print(f"{len(gone)} removed, {_text(sum(piece.size for piece in gone))}.{in_use}")


def _clean(root: Path, really: bool) -> None:
    from graftwork.process.terminal import visible

    left = leftovers(Artifacts.at(root))
    if not left:
        print("Nothing was left behind by killed processes.")
        return
    print(f"Left behind by killed processes; {'it goes' if really else 'it would go'}:")
    for path in left:
        print(f"  {visible(path)}")
        if really:
            remove_leftover(path)
    if not really:
        print("Nothing was removed: add --yes to remove it.")


def _unreferenced(
    root: Path, found: Sequence[Piece], now: float, age: float | None, most: float | None
) -> list[Piece]:
    """What no recorded run refers to."""
    from graftwork.housekeeping.references import References

    references = References(root)
    if references.unread:
        print(f"Not asked what they refer to, being of another version: {references.unread} runs.")
    if age is None and most is None:
        age = 0.0
    return chosen(found, now, age, most, references.hold)


def show(found: Sequence[Piece], now: float) -> None:
    """Prints a table: a line a kind, a column an age."""
    from rich.console import Console
    from rich.table import Table

    from graftwork.process.terminal import literal

    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for heading in ("pieces", "size", *AGES):
        table.add_column(heading, justify="right")
    for kind in sorted({piece.kind for piece in found}):
        members = [piece for piece in found if piece.kind == kind]
        table.add_row(literal(kind), *_cells(members, now))
    table.add_row("all", *_cells(found, now), style="bold")
    Console().print(table)


def _cells(found: Sequence[Piece], now: float) -> list[str]:
    """Number, size, and size of each age."""
    sizes = dict.fromkeys(AGES, 0)
    for piece in found:
        age = next(name for name, limit in AGES.items() if now - piece.used < limit)
        sizes[age] += piece.size
    aged = (_text(count) if count else "" for count in sizes.values())
    return [str(len(found)), _text(sum(piece.size for piece in found)), *aged]


def _text(count: int) -> str:
    from rich.filesize import decimal

    return decimal(count)
