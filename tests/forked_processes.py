"""Work in processes that are forked from this one: libraries are imported, kills are real."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Forked:
    """Processes that do the same work, as torchrun would start them; one is started as it is.

    Args:
        work: its value can be asked for when rank 0 has ended.
        place: a new folder's path.
    """

    def __init__(self, work: Callable[[], Any], place: Path, processes: int = 1) -> None:
        place.mkdir()
        self._value = place / "value"
        port = _free_port()
        self.pids = [self._start(work, rank, processes, port) for rank in range(processes)]

    def wait(self) -> list[int]:
        """How each ended: its exit code, or minus the signal."""
        return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in self.pids]

    def wait_for_first(self) -> list[int]:
        """As `wait`, and as soon as one ends otherwise than by 0, the others are killed."""
        codes: dict[int, int] = {}
        while len(codes) < len(self.pids):
            pid, status = os.wait()
            if pid not in self.pids:
                continue
            codes[pid] = os.waitstatus_to_exitcode(status)
            if codes[pid]:
                for other in set(self.pids) - set(codes):
                    os.kill(other, signal.SIGKILL)
        return [codes[pid] for pid in self.pids]

    @property
    def value(self) -> Any:
        return pickle.loads(self._value.read_bytes())

    def _start(self, work: Callable[[], Any], rank: int, processes: int, port: int) -> int:
        child = os.fork()
        if child:
            return child
        if processes > 1:
            ranks = {name: str(rank) for name in ("RANK", "LOCAL_RANK")}
            sizes = {name: str(processes) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE")}
            place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
            os.environ.update(
                {**ranks, **sizes, **place, "GROUP_RANK": "0", "TORCHELASTIC_RUN_ID": "x"}
            )
        warnings.simplefilter("ignore")  # torch has some about several processes
        code = 1
        try:
            value = work()
            if rank == 0:
                self._value.write_bytes(pickle.dumps(value))
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
