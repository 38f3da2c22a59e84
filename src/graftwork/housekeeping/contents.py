"""What lies in the store, in pieces that are whole: a shard, a network, a download, a fold.

Links are neither followed nor counted: what they lead to is not the store's. Locks stay where they
are, as another process may hold them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from graftwork.config.errors import UserError
from graftwork.storage.leftovers import SHARDED

KEPT = ("first_use",)  # what was trusted once and is held to since: no cache, whatever its age


@dataclass(frozen=True)
class Piece:
    """What is only of use as a whole."""

    kind: str  # the folder of the store that it lies in
    key: str  # what lies under one key is of use to the same runs
    paths: tuple[Path, ...]  # in the order in which they may go
    size: int  # bytes
    used: float  # last written, or read where the file system notes it; s since the epoch

    @property
    def unfinished(self) -> bool:
        """Whether a process may be writing it: a partial file, or bytes without their index yet."""
        path = self.paths[0]
        return path.suffix in (".partial", ".bin") or path.parent.name == "partial"


def pieces(store: Path) -> list[Piece]:
    """All that the store holds.

    Raises:
        UserError: there is no store.
    """
    if not store.is_dir():
        raise UserError(f"{store}: no such folder. Run this in a project, or name one by --root.")
    folders = (folder for folder in _entries(store) if folder.is_dir())
    return [_piece(folder.name, paths) for folder in folders for paths in _wholes(folder)]


def _entries(folder: Path) -> list[Path]:
    """Without links and locks; empty for a folder that went meanwhile."""
    try:
        with os.scandir(folder) as found:
            names = [e.name for e in found if not e.is_symlink() and not e.name.endswith(".lock")]
    except FileNotFoundError:
        return []
    return [folder / name for name in sorted(names)]


def _wholes(folder: Path) -> Iterator[tuple[Path, ...]]:
    for entry in _entries(folder):
        if folder.name in SHARDED and entry.is_dir():
            yield from _shards(entry)
        elif entry.name in KEPT:
            continue
        elif entry.name == "partial":  # downloads in flight
            yield from ((path,) for path in _entries(entry))
        else:
            yield (entry,)


def _shards(folder: Path) -> Iterator[tuple[Path, ...]]:
    """The index first: without it nobody looks for the bytes."""
    together: dict[str, list[Path]] = {}
    for path in _entries(folder):
        together.setdefault(path.stem, []).append(path)
    for paths in together.values():
        yield tuple(sorted(paths, key=lambda path: path.suffix, reverse=True))


def _piece(kind: str, paths: tuple[Path, ...]) -> Piece:
    key = paths[0].parent.name if kind in SHARDED else paths[0].name
    found = [state for path in paths for state in _states(path)]
    files = [state for state, is_folder in found if not is_folder]
    known = files or [state for state, _ in found]
    used = max((max(state.st_mtime, state.st_atime) for state in known), default=0.0)
    return Piece(kind, key, paths, sum(state.st_size for state in files), used)


def _states(path: Path) -> Iterator[tuple[os.stat_result, bool]]:
    """Of a path and of all in it, each with whether it is a folder."""
    try:
        found = path.lstat()
    except FileNotFoundError:  # another process was quicker
        return
    is_folder = stat.S_ISDIR(found.st_mode)
    yield found, is_folder
    for entry in _entries(path) if is_folder else ():
        yield from _states(entry)
