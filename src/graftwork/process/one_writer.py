"""One process at a time writes into an experiment's folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from graftwork.config.errors import UserError
from graftwork.process import distributed

LOCK = ".graftwork.lock"
OWNER = ".graftwork.writer"  # who holds it: for the message alone


@contextmanager
def only_writer(root: Path) -> Iterator[None]:
    """Within this context no other process runs a stage of the experiment in `root`.

    The processes of one stage, which torchrun starts, count as one. The system itself lets go of
    the lock when its holder ends, however it ends.

    Raises:
        UserError: another process is at it.
    """
    if distributed.inside():
        yield
        return
    lock = FileLock(root / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"{root.absolute()}: another process{_owner(root)} is running a stage here. Wait until "
            "it has ended, or end it; then start again."
        ) from None
    try:
        (root / OWNER).write_text(f"{os.getpid()}\n")
        yield
    finally:
        with suppress(OSError):
            (root / OWNER).unlink()
        lock.release()


def _owner(root: Path) -> str:
    try:
        return f" ({int((root / OWNER).read_text())})"
    except (OSError, ValueError):
        return ""
