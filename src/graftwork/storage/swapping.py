"""A new folder in the place of an old one, at one stroke."""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graftwork.storage.files import beside

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of Linux: fcntl.h, linux/fs.h


@contextmanager
def swapped_in(target: Path, last: str) -> Iterator[Path]:
    """A folder to fill, which takes the place of `target` when the block ends without an error.

    Until then, and whatever kills this process, `target` is what it was. Files in it that the block
    does not write stay.

    Args:
        target: may be absent.
        last: the file without which the folder counts as unfinished.
    """
    target = target.resolve()  # a link to a folder stays one
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = beside(target)
    partial.mkdir()
    try:
        yield partial
        if not target.exists():
            partial.rename(target)
        elif _exchanged(partial, target):
            _keep_others(partial, target)
        else:
            _moved_in(partial, target, last)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _keep_others(old: Path, new: Path) -> None:
    for path in old.iterdir():
        if not os.path.lexists(new / path.name):
            path.rename(new / path.name)


def _exchanged(left: Path, right: Path) -> bool:
    """Whether both have changed places: on Linux and most file systems in one step."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):  # not Linux, or a C library without it
        return _renamed(left, right)
    paths = os.fsencode(left), os.fsencode(right)
    if rename(AT_FDCWD, paths[0], AT_FDCWD, paths[1], RENAME_EXCHANGE) == 0:
        return True
    return _renamed(left, right)


def _renamed(left: Path, right: Path) -> bool:
    """Likewise in three steps: whoever is killed between them finds both beside the place."""
    away = beside(right)
    try:
        right.rename(away)
    except OSError:  # it is mounted there
        return False
    left.rename(right)
    away.rename(left)
    return True


def _moved_in(partial: Path, target: Path, last: str) -> None:
    """File by file, as within a mounted folder: unfinished meanwhile, never mixed."""
    (target / last).unlink(missing_ok=True)
    for path in sorted(partial.iterdir(), key=lambda path: path.name == last):
        path.replace(target / path.name)
