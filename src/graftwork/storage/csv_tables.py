"""Tables for other programs, as CSV.

A spreadsheet takes a cell that begins with one of = + - @ for a formula, and what it computes may
reach files and addresses. Names of classes and of runs come from others: such a cell is written
with an apostrophe before it, which spreadsheets take for "this is text".
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a formula begins with


def as_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """A header and a line a row; a column that a row lacks is empty.

    Raises:
        ValueError: a row has a column that was not named.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: harmless(cell) for name, cell in row.items()} for row in rows)
    return text.getvalue()


def line(cells: Iterable[Any]) -> str:
    """One row alone, of a table that grows."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(map(harmless, cells))
    return text.getvalue()


def write(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """The same into a file, whose folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_csv(columns, rows), encoding="utf-8", newline="")


def columns_of(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Every column that any row has, in the order in which they come."""
    return list(dict.fromkeys(name for row in rows for name in row))


def harmless(cell: Any) -> Any:
    """Text that no spreadsheet takes for a formula; numbers stay as they are."""
    if not isinstance(cell, str) or not cell.startswith(FORMULA) or _is_number(cell):
        return cell
    return f"'{cell}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text == text.strip()
