"""Signals that ask a training to end: it ends between two steps, when it has kept where it was.

SLURM, systemd and cloud machines that are taken away send SIGTERM or SIGUSR1, and wait for some
seconds; people press Ctrl-C. The handler notes the request, and no more: what a process is in the
midst of, and what the other processes wait for, only the training itself knows.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from graftwork.process import distributed, ended

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
GRACE = 8.0  # seconds after which the process ends in the midst of whatever it does
AGAIN = 1.0  # seconds: signals that come closer are the same request, by two ways


class Request:
    """What this process has been asked."""

    def __init__(self) -> None:
        self.code = 0  # exit code that was asked for; 0: nothing was
        self._since = 0.0

    def note(self, number: int, _: FrameType | None = None) -> None:
        """The handler of a signal. Whoever presses Ctrl-C again wants the end at once."""
        again = self.code and time.monotonic() - self._since > AGAIN
        if again and number == signal.SIGINT and not distributed.inside():
            raise SystemExit(self.code)
        if not self.code:
            self.code, self._since = 128 + number, time.monotonic()
            signal.signal(signal.SIGALRM, self._late)
            signal.setitimer(signal.ITIMER_REAL, GRACE)

    def _late(self, number: int, _: FrameType | None) -> None:
        """Validation, or a step, takes longer than anybody waits: the last checkpoint stands."""
        raise SystemExit(self.code)

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """Within this context signals are noted. Only the main thread may say so; in another
        nothing changes."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (*SIGNALS, signal.SIGALRM)}
        try:
            self.listen()
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in before.items():
                signal.signal(number, handler)

    def listen(self) -> None:
        """Again, after somebody else has put a handler in the place of this one."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, self.note)


def end(code: int, where: str | None) -> NoReturn:
    """Ends this process with the code that was asked for; every process calls it.

    Args:
        where: the training has been kept; None: nothing of it was.
    """
    if where and distributed.rank() == 0:
        print(
            f"graftwork: training is kept {where}. Started again it goes on from there "
            "(trainer.resume=never begins anew).", file=sys.stderr,
        )  # fmt: skip
    ended.note(code)
    raise SystemExit(code)


def ask_to_be_requeued(code: int | None) -> None:
    """Asks SLURM to start this job again, where it was SLURM that announced the end of its time
    (SIGUSR1, by `sbatch --signal=B:USR1@60`)."""
    if code != 128 + signal.SIGUSR1 or not (job := _slurm_job(os.environ)):
        return
    try:
        subprocess.run(["scontrol", "requeue", job], check=True, timeout=GRACE / 2)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"graftwork: SLURM job {job} could not be requeued: {error}", file=sys.stderr)


def _slurm_job(environment: Mapping[str, str]) -> str:
    """Its number, with that of its task where it is one of an array."""
    array, task = environment.get("SLURM_ARRAY_JOB_ID"), environment.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else environment.get("SLURM_JOB_ID", "")
