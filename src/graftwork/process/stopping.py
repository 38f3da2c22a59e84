"""Signals that ask a process to end: it ends as by an exception, so that nothing is left open."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1)
CODES = {128 + number: number.name for number in SIGNALS}


def stop_orderly() -> None:
    """SIGTERM, SIGUSR1 (SLURM's warning) and SIGHUP (a closed terminal) end this process with exit
    codes 143, 138 and 129.

    DVC records any exit code 0 as success, and a run whose process just vanishes is never ended.
    Libraries leave a million objects: looking through them for garbage at the end takes seconds.
    """
    atexit.register(gc.freeze)
    terminals = [stream for stream in (1, 2) if os.isatty(stream)]

    def hung_up(number: int, _: FrameType | None) -> NoReturn:
        for stream in terminals:
            if not os.isatty(stream):  # gone: what is still to be printed must not fail
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        _end(number)

    end_on_sigterm()
    signal.signal(signal.SIGUSR1, _end)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup: to outlive the terminal
        signal.signal(signal.SIGHUP, hung_up)


def end_on_sigterm() -> None:
    """SIGTERM ends this process with exit code 143, whoever handled it before.

    Only the main thread may say so; in another nothing changes.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _end)


def _end(number: int, _: FrameType | None = None) -> NoReturn:
    sys.exit(128 + number)


def status_of(error: BaseException | None) -> str:
    """How a run ended, in MLflow's words: signals, such as Ctrl-C, are no failures."""
    if error is None:
        return "FINISHED"
    if isinstance(error, SystemExit):  # Lightning's own for SIGTERM carries no code
        signals = (None, *CODES)
        return "KILLED" if error.code in signals else "FAILED"
    return "FAILED" if isinstance(error, Exception) else "KILLED"
