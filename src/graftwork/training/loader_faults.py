"""Loader processes that hang, are stopped or are killed: what a user can do about it."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import active_children
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING

from graftwork.config.errors import UserError

if TYPE_CHECKING:
    from graftwork.settings.trainer import Trainer

SHARED = Path("/dev/shm")  # where loader processes lay down batches, on Linux
AHEAD = 2  # batches that each of them prepares: torch's default
MIB = 2**20
# Words of torch, the more telling first.
NO_ROOM = ("out of shared memory", "No space left on device", "unable to open shared memory")
LATE = "DataLoader timed out"
ENDED = ("exited unexpectedly", "is killed by signal")


@contextmanager
def named_faults(trainer: Trainer) -> Iterator[None]:
    """Within this context what torch says of loader processes is a user's mistake, with a remedy.

    Raises:
        UserError: one gave no batch in time, ended, or found no room in shared memory.
    """
    before = active_children()
    try:
        yield
    except RuntimeError as error:
        if trainer.workers == 0 or not (said := _said(str(error), trainer)):
            raise
        _go_on([child for child in active_children() if child not in before])
        raise UserError(
            f"trainer.workers: {said} {_fewer(trainer.workers)} Started again, training goes on "
            "from its last checkpoint."
        ) from error


def check_room(workers: int, size: int) -> None:
    """Raises UserError unless shared memory has room for what so many loader processes prepare.

    torch's own processes would say so, and the training wait for a batch that never comes.

    Args:
        size: bytes of a batch.
    """
    if not workers or not SHARED.is_dir():
        return
    free, needed = shutil.disk_usage(SHARED).free, AHEAD * workers * size
    if free < needed:
        raise UserError(
            f"trainer.workers: {workers} loader processes need {needed / MIB:.1f} MiB of shared "
            f"memory for their batches, and {SHARED} has {free / MIB:.1f} MiB free. Make it larger "
            f"(docker run --shm-size=1g). {_fewer(workers)}"
        )


def _fewer(workers: int) -> str:
    few = f"fewer of them (trainer.workers={workers // 2}), or " if workers > 1 else ""
    return f"Or choose {few}none: trainer.workers=0 loads in the training process."


def _said(words: str, trainer: Trainer) -> str:
    """What happened; empty: nothing to loader processes."""
    if any(each in words for each in NO_ROOM):
        return (
            f"shared memory ({SHARED}) is too small for the batches of {trainer.workers} loader "
            "processes. Make it larger (docker run --shm-size=1g)."
        )
    if LATE in words:
        return (
            f"a loader process gave no batch for {trainer.loader_timeout:g} s "
            "(trainer.loader_timeout): it hangs, was stopped, or reads from a slow place. Allow "
            "more time, if that is all."
        )
    if any(each in words for each in ENDED):
        return "a loader process was ended from outside, often for want of memory. Free some."
    return ""


def _go_on(workers: list[BaseProcess]) -> None:
    """One that was stopped does not end before it goes on."""
    for worker in workers:
        if worker.pid is not None and hasattr(signal, "SIGCONT"):
            with suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGCONT)
