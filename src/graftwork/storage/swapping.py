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
            for path in partial.iterdir():  # what was there before
                if not os.path.lexists(target / path.name):
                    path.rename(target / path.name)
        else:
            _moved_in(partial, target, last)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _exchanged(left: Path, right: Path) -> bool:
    """Whether both have changed places, which Linux does in one step on most file systems."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):  # not Linux, or a C library without it
        return False
    paths = os.fsencode(left), os.fsencode(right)
    return bool(rename(AT_FDCWD, paths[0], AT_FDCWD, paths[1], RENAME_EXCHANGE) == 0)


def _moved_in(partial: Path, target: Path, last: str) -> None:
    """File by file, as within a mounted folder: unfinished meanwhile, never mixed."""
    (target / last).unlink(missing_ok=True)
    for path in sorted(partial.iterdir(), key=lambda path: path.name == last):
        path.replace(target / path.name)
