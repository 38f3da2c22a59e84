"""Letters that have not arrived, in files: a process that is killed loses none of them.

A file belongs to a process, which holds its lock; the system lets go of that however the process
ends, and whoever is next takes the file over.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock, Timeout

from graftwork.process.terminal import visible, visible_lines
from graftwork.recording.letters import Letter
from graftwork.recording.tracked_params import public
from graftwork.storage.artifacts import Artifacts

log = logging.getLogger(__name__)

FOLDER = ".unsent"  # beside the artifacts of MLflow's runs
OWN = "own"  # the project's store, wherever the project lies


def place(artifacts: Artifacts, uri: str | None) -> Path:
    """The folder of what a store has not been told; each has its own."""
    name = OWN if uri is None else quote(public(uri), safe="")[:200]
    return artifacts.mlflow_artifacts / FOLDER / name


def waiting(artifacts: Artifacts) -> dict[Path, int]:
    """How many letters wait, by folder."""
    folders = sorted((artifacts.mlflow_artifacts / FOLDER).glob("*"))
    counts = {
        folder: sum(len(_read(path)) for path in folder.glob("*.jsonl")) for folder in folders
    }
    return {folder: count for folder, count in counts.items() if count}


class KeptLetters:
    """The file of one process, made when there is something to keep.

    A disk that cannot take it costs no run: that is said once, and letters live in memory then.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Sorted by name they are in the order of time.
        self._path = folder / f"{time.time_ns():020d}-{uuid.uuid4().hex}.jsonl"
        self._lock = FileLock(self._path.with_suffix(".lock"))
        self._fails = False

    def add(self, letters: Sequence[Letter]) -> None:
        """Writes them behind the others. The system has them then, and a kill loses none."""
        with self._told():
            if not self._lock.is_locked:
                self.folder.mkdir(0o700, parents=True, exist_ok=True)  # runs tell paths and names
                self._lock.acquire()
            with self._path.open("a", encoding="utf-8") as file:
                file.write(_lines(letters))

    def rewrite(self, letters: Sequence[Letter]) -> None:
        """These alone have not arrived."""
        if not self._lock.is_locked:
            return
        with self._told():
            if not letters:
                self._path.unlink(missing_ok=True)  # emptying it takes 50 times as long on ext4
                return
            partial = self._path.with_suffix(".partial")
            partial.write_text(_lines(letters), "utf-8")
            partial.replace(self._path)

    def leave(self, letters: Sequence[Letter]) -> None:
        """Ends: these alone are left, for whoever is next. Without any no file is."""
        if not self._lock.is_locked:
            return
        self.rewrite(letters)
        _release(self._lock)

    def take_over(self) -> list[Letter]:
        """What processes left that have ended, in order of time; kept here from now on."""
        found: list[Letter] = []
        for path in sorted({each.with_suffix(".jsonl") for each in self.folder.glob("*-*")}):
            lock = FileLock(path.with_suffix(".lock"))
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue  # its process lives
            # A letter that was under way may have arrived.
            letters = [{**each, "again": True} for each in _read(path)]
            if letters:
                self.add(letters)
            if not self._fails:  # else they lie there for whoever is next
                path.unlink(missing_ok=True)
                path.with_suffix(".partial").unlink(missing_ok=True)
            _release(lock)
            found += letters
        return found

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self._fails:
                said = visible(self.folder), visible_lines(error)
                log.warning("%s: %s. What MLflow has not got is kept in memory alone.", *said)
            self._fails = True


def _lines(letters: Sequence[Letter]) -> str:
    return "".join(json.dumps(letter) + "\n" for letter in letters)


def _release(lock: FileLock) -> None:
    Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()


def _read(path: Path) -> list[Letter]:
    """What was left in a file; a line that is damaged is told and left out."""
    found: list[Letter] = []
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:  # its process has just ended well
        return found
    for number, line in enumerate(lines, 1):
        try:
            found.append(json.loads(line))
        except ValueError:
            log.warning("%s: line %d is damaged and is not sent.", visible(path), number)
    return found
