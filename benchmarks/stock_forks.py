"""Processes forked from this one, which has imported what is tried, and real signals."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

Work = Callable[[], object]


def forked(work: Work, processes: int = 1) -> list[int]:
    """The ids of processes that do this, as torchrun would start them where they are several."""
    port = _free_port()
    return [_start(work, rank, processes, port) for rank in range(processes)]


def ended(pids: list[int], seconds: float = 600.0) -> list[int | None]:
    """How each ended: its exit code, or minus the signal; None: not in time, and it is killed."""
    until, codes = time.monotonic() + seconds, dict.fromkeys(pids, None)
    found: dict[int, int | None] = dict(codes)
    while None in found.values() and time.monotonic() < until:
        for pid in [pid for pid, code in found.items() if code is None]:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                found[pid] = os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    for pid in [pid for pid, code in found.items() if code is None]:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return [found[pid] for pid in pids]


def killed_when(pid: int, reached: Callable[[], bool]) -> bool:
    """By -9, as soon as it has come that far; False: it ended before that."""
    while not reached():
        if os.waitpid(pid, os.WNOHANG)[0]:
            return False
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return True


def _start(work: Work, rank: int, processes: int, port: int) -> int:
    if pid := os.fork():
        return pid
    if processes > 1:
        told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "GROUP_RANK": 0}
        told |= {"LOCAL_WORLD_SIZE": processes, "MASTER_PORT": port}
        os.environ.update({name: str(value) for name, value in told.items()})
        os.environ.update({"MASTER_ADDR": "127.0.0.1", "TORCHELASTIC_RUN_ID": "stock"})
    _end(work)


def _end(work: Work) -> NoReturn:
    code = 1
    try:
        with Path(os.devnull).open("w") as nothing:
            os.dup2(nothing.fileno(), 1)
            os.dup2(nothing.fileno(), 2)
        work()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        code = 1
    finally:
        os._exit(code)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
