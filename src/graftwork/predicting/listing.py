"""Which photos are meant: files, folders, patterns, tables, a list on standard input."""

from __future__ import annotations

import csv
import glob
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from graftwork.config.errors import UserError, nearest_first
from graftwork.data.datasets.class_folders import pictures
from graftwork.process.terminal import visible

COLUMNS = ("path", "file", "filename", "image")  # of a table, whichever comes first here
STANDARD_INPUT = "-"


def named(words: Sequence[str], stdin: TextIO | None = None) -> list[str]:
    """The paths of all photos that words name, each once, in their order.

    A folder means the photos below it, by their endings; a `.csv` table its column of paths,
    which count from the table's folder; `-` one path a line of standard input (or, where it holds
    bytes 0, as `find -print0` writes them, one between each two).

    Raises:
        UserError: a word names nothing, or a folder or table without a photo.
    """
    return list(dict.fromkeys(path for word in words for path in _named(word, stdin)))


def _named(word: str, stdin: TextIO | None) -> Iterable[str]:
    if word == STANDARD_INPUT:
        return _some(_listed(stdin or sys.stdin), "standard input")
    if os.path.isdir(word):
        return _some((str(p) for p in pictures(Path(word), Path(word).absolute().parent)), word)
    if not os.path.lexists(word):
        if not glob.has_magic(word):
            raise _absent(word)
        return _some(_matching(word), word)
    return _some(_in_table(Path(word)), word) if word.lower().endswith(".csv") else [word]


def _matching(pattern: str) -> Iterator[str]:
    """Of a pattern: files as they are called, folders as folders."""
    for path in sorted(glob.iglob(pattern, recursive=True)):
        if not os.path.isdir(path):
            yield path


def _listed(stream: TextIO) -> list[str]:
    text = stream.read()
    paths = text.split("\0") if "\0" in text else text.splitlines()
    return [path for path in paths if path]


def _in_table(table: Path) -> Iterator[str]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = list(reader.fieldnames or ())
            column = next((name for name in COLUMNS if name in columns), None)
            if column is None and len(columns) == 1:
                column = columns[0]
            if column is None:
                raise UserError(
                    f"{table}: no column says where photos lie. Legal: {', '.join(COLUMNS)}, or "
                    f"one column alone. It has: {', '.join(map(visible, columns)) or 'nothing'}."
                )
            for row in reader:
                if path := row[column]:
                    yield str(table.parent / path)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{table}: is no table in UTF-8 ({error}).") from error


def _some(paths: Iterable[str], word: str) -> Iterator[str]:
    found = False
    for path in paths:
        found = True
        yield path
    if not found:
        raise UserError(f"{visible(word)}: names no photo. Name files or a folder with some.")


def _absent(word: str) -> UserError:
    path = Path(word)
    names = (entry.name for entry in path.parent.glob("*")) if path.parent.is_dir() else ()
    near = nearest_first(path.name, names)[:3]
    hint = f" Near it: {', '.join(map(visible, near))}." if near else ""
    return UserError(f"{visible(word)}: no such file or folder.{hint}")
