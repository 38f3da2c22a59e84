"""A new folder in the place of an old one, at one stroke."""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

from graftwork.storage.files import beside

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of Linux: fcntl.h, linux/fs.h


@contextmanager
def swapped_in(target: Path, last: str) -> Iterator[Path]:
    """A folder to fill, which takes the place of `target` when the block ends without an error.

    Until then, and whatever kills this process, `target` is what it was. Files in it that the block
    does not write stay. What earlier processes were killed over is removed first.

    Args:
        target: may be absent.
        last: the file without which the folder counts as unfinished.
    """
    target = target.resolve()  # a link to a folder stays one
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_unheld(target)
    partial = beside(target)
    held = _made_and_held(partial)
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
        os.close(held)


def _made_and_held(partial: Path) -> int:
    """A new folder, locked as long as this process lives, before others can see it by its name."""
    hidden = partial.with_suffix(".new")
    hidden.mkdir()
    held = os.open(hidden, os.O_RDONLY)
    with suppress(OSError):  # a file system without locks
        fcntl.flock(held, fcntl.LOCK_EX)
    hidden.rename(partial)
    return held


def _remove_unheld(target: Path) -> None:
    for left in target.parent.glob(f".{escape(target.name)}.*.partial"):
        with suppress(OSError):  # another process is at it, or has removed it
            found = os.open(left, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left)
            finally:
                os.close(found)


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
