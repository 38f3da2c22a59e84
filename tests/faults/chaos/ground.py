"""Where trials take place: one source of chance, new folders, processes that are forked."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import forked_commands
from forked_processes import Forked
from tiny_transfer import draw_photos, save_weights

PROJECT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Row:
    """Trials of one injection."""

    what: str
    trials: int
    held: int  # trials that ended as they should
    note: str = ""
    stock: str = ""  # the name of the same injection in benchmarks.stock_lightning or stock_mlflow


class Ground:
    """Chance, photos of three classes, weights that stand for pretrained ones."""

    def __init__(self, seed: int, place: Path) -> None:
        self.random, self.place = random.Random(seed), place
        self.photos, self.weights = place / "photos", place / "weights.pth"
        draw_photos(self.photos)
        save_weights(self.weights)

    def new(self, what: str) -> Path:
        return self.place / f"{what} {self.random.getrandbits(48):x}"

    def project(self) -> Path:
        """A new project's folder."""
        folder = self.new("project")
        folder.mkdir()
        return folder

    def forked(self, work: Callable[[], Any], processes: int = 1) -> Forked:
        return Forked(work, self.new("process"), processes)


class Command:
    """`python -m ...` in a process of its own, forked from this one, which has imported all."""

    def __init__(self, arguments: list[str], folder: Path, **environment: str) -> None:
        told = {"PYTHONPATH": f"{PROJECT / 'src'}:{PROJECT}", **environment}
        self.output = folder / f".said-{time.monotonic_ns()}"
        sys.stdout.flush()
        if (pid := os.fork()) == 0:
            with self.output.open("w") as said:
                number = said.fileno()
                forked_commands.become(arguments, str(folder), told, number, number)
        self.pid = pid

    def wait(self) -> int:
        """Its exit code, or minus the signal."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def kill_when(self, reached: Callable[[], bool], delay: float) -> bool:
        """By -9, so many seconds after it has come that far; False: it ended before that."""
        until = None
        while until is None or time.monotonic() < until:
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                self.wait()
                return False
            if until is None and reached():
                until = time.monotonic() + delay
            time.sleep(0.01)
        os.kill(self.pid, signal.SIGKILL)
        self.wait()
        return True


def get_ready() -> None:
    """Imports what commands need, once."""
    forked_commands.get_ready(forked_commands.HEAVY)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what forked trainings print."""
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)


def same(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether all are equal; the first difference is said."""
    for key in sorted({*found, *wanted}):
        if found.get(key) != wanted.get(key):
            print(f"  DIFFERS: {key}: {found.get(key)} where {wanted.get(key)} should be")
            return False
    return True
