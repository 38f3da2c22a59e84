"""A process that was started to do a part of another one's work ends when that one does.

DVC and torchrun can be killed so that they cannot end what they started (out of memory, kill -9).
It would go on for minutes, and write its results over those of whoever came next.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2), Linux alone
STARTERS = ("DVC_STAGE", "TORCHELASTIC_RUN_ID")  # environment: set for what they start


def end_with_starter() -> None:
    """Asks for SIGTERM when DVC or torchrun ends, where one of them started this process.

    One that a person started, such as by nohup, outlives the shell as ever.
    """
    if not {*STARTERS}.isdisjoint(os.environ):
        end_with_parent()


def end_with_parent() -> None:
    """Asks for SIGTERM when the parent process ends; nothing where the system cannot tell."""
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(DEATH_SIGNAL, signal.SIGTERM)
    if os.getppid() != parent:  # it ended just before it was asked for
        os.kill(os.getpid(), signal.SIGTERM)
