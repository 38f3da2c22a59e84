"""Checkpoint files: whole or absent, the last two kept, a damaged one passed over.

A checkpoint is a file a process and a receipt with their sha256. The receipt comes last and by a
rename, so that a checkpoint is there with all its files or not at all.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import torch

from graftwork.config.errors import UserError
from graftwork.process import distributed
from graftwork.process.terminal import visible
from graftwork.storage.files import beside, write_durably

log = logging.getLogger(__name__)

State = dict[str, Any]  # plain values and tensors: what `torch.load(weights_only=True)` takes
KEPT = 2  # checkpoints: should the newest be damaged, the one before it stands
RECEIPT = ".json"
MB = 2**20


def write(folder: Path, name: str, shared: State, own: State) -> None:
    """Writes a checkpoint; every process calls it, at the same moment of the training.

    Args:
        name: sorts behind those of earlier ones.
        shared: the same in all processes; only the first writes it.
        own: of this process.

    Raises:
        OSError: it could not be written; the earlier ones are as they were.
    """
    rank = distributed.rank()
    folder.mkdir(parents=True, exist_ok=True)
    error, digest = None, ""
    try:
        digest = _saved(_part(folder, name, rank), {**own, **(shared if rank == 0 else {})})
    except OSError as found:
        error = found
    digests = distributed.gathered(digest)  # nobody is left waiting for one whose disk is full
    if all(digests):
        if rank == 0:
            text = json.dumps({"sha256": digests}) + "\n"
            write_durably(folder / f"{name}{RECEIPT}", text.encode())
            _forget_older(folder)
        return
    _part(folder, name, rank).unlink(missing_ok=True)
    raise error or OSError(f"{folder}: another process could not write its part")


def newest(folder: Path) -> State | None:
    """The newest checkpoint that is whole, as this process needs it; None where there is none.

    One that is damaged is named, and the one before it taken. Every process looks at the files of
    all of them, so that all take the same.
    """
    rank = distributed.rank()
    found = next((name for name in _names(folder) if _whole(folder, name)), None)
    if found is None:
        return None
    shared: State = _loaded(_part(folder, found, 0))
    return shared if rank == 0 else {**shared, **_loaded(_part(folder, found, rank))}


def check_room(folder: Path, size: int) -> None:
    """Raises UserError unless checkpoints of this size (bytes) can be written in the folder."""
    without = "or do without checkpoints (trainer.checkpoint_minutes=null)"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial = beside(folder / "trial")
        trial.write_bytes(b"")
        trial.unlink()
    except OSError as error:
        raise UserError(
            f"{folder}: checkpoints cannot be written here ({error.strerror}). Make the folder "
            f"writable, {without}."
        ) from error
    free, needed = shutil.disk_usage(folder).free, (KEPT + 1) * size
    if free < needed:
        raise UserError(
            f"{folder}: {KEPT + 1} checkpoints of {size / MB:.0f} MiB need {needed / MB:.0f} MiB, "
            f"and {free / MB:.0f} MiB are free. Make room (`graftwork store` tells what may go), "
            f"{without}."
        )


class _Hashed:
    """A file whose sha256 is known when it has been written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.sha256 = file, hashlib.sha256()

    def write(self, content: bytes) -> int:
        self.sha256.update(content)
        return self._file.write(content)

    def flush(self) -> None:
        self._file.flush()


def _saved(path: Path, state: State) -> str:
    """Writes a file, whole or not at all, and on the disk when this returns. Its sha256."""
    partial = beside(path)
    try:
        with partial.open("wb") as file:
            hashed = _Hashed(file)
            try:
                torch.save(state, hashed)  # type: ignore[arg-type]
            except RuntimeError as error:  # torch's writer hides what the file said
                raise _told(error) from error
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return hashed.sha256.hexdigest()


def _told(error: BaseException) -> OSError:
    """What the disk said."""
    inner: BaseException | None = error
    while inner is not None and not isinstance(inner, OSError):
        inner = inner.__cause__ or inner.__context__
    return inner if isinstance(inner, OSError) else OSError(str(error).splitlines()[0])


def _whole(folder: Path, name: str) -> bool:
    try:
        wanted = json.loads((folder / f"{name}{RECEIPT}").read_text())["sha256"]
        if len(wanted) != distributed.world_size():
            return False
        for rank, sha256 in enumerate(wanted):
            with _part(folder, name, rank).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                    raise ValueError("its bytes are not those that were written")
    except (OSError, ValueError, KeyError, TypeError) as error:
        told = log.warning if distributed.rank() == 0 else log.debug
        told(
            "%s: this checkpoint is damaged (%s); the one before it is taken.",
            visible(folder / name), visible(error),
        )  # fmt: skip
        return False
    return True


def _loaded(path: Path) -> State:
    found: State = torch.load(path, weights_only=True)
    return found


def _part(folder: Path, name: str, rank: int) -> Path:
    return folder / f"{name}.{rank}.pt"


def _names(folder: Path) -> list[str]:
    """Of those with a receipt, the newest first."""
    return sorted((path.stem for path in folder.glob(f"*{RECEIPT}")), reverse=True)


def _forget_older(folder: Path) -> None:
    """The receipt goes first: without it nobody looks for the files."""
    for name in _names(folder)[KEPT:]:
        (folder / f"{name}{RECEIPT}").unlink(missing_ok=True)
    kept = set(_names(folder))
    for path in _parts(folder):
        if path.name.split(".")[0] not in kept:
            path.unlink(missing_ok=True)


def _parts(folder: Path) -> Iterator[Path]:
    """Files of checkpoints, and what kills have left of them."""
    yield from folder.glob("*.pt")
    yield from folder.glob(".*.partial")
