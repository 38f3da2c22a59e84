"""Several starts of one sweep at once share its jobs; the last of them to end ranks all.

One that ends before the others knows half of the jobs: it would look at the test of a winner that
is none.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

OPENING = ".sweep.lock"  # in the sweep's folder: held while one start opens or ends the sweep


class Start:
    """This start of the sweep in a folder. The system lets go of its lock however it ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own = FileLock(folder / f".start-{uuid.uuid4().hex}.lock")
        self.alone = FileLock(folder / OPENING)  # within this context no other opens or ends it
        with self.alone:
            self._own.acquire()

    @contextmanager
    def ended(self) -> Iterator[int]:
        """How many others are at work; within this context none of them ends."""
        with self.alone:
            _let_go(self._own)
            yield sum(map(_is_held, self._folder.glob(".start-*.lock")))


def _is_held(path: Path) -> bool:
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    _let_go(lock)  # a killed process left it
    return False


def _let_go(lock: FileLock) -> None:
    Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()
