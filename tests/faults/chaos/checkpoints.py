"""Checkpoints: killed while one is written, or on a full disk, the last good one stands."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from faults.chaos.ground import Ground, Row

from graftwork.training.resuming import files


def rows(ground: Ground, kills: int) -> Iterator[Row]:
    yield writes(ground, kills)
    yield full_disks(ground, max(1, kills // 10))


def writes(ground: Ground, kills: int) -> Row:
    """Kills at a random moment of writing a checkpoint."""
    held = 0
    for _ in range(kills):
        folder, last = _two(ground)
        at = ground.random.randrange(12)
        ground.forked(lambda: dying_after(at, lambda: write(folder, 3))).wait()  # noqa: B023
        found = files.newest(folder)
        held += found is not None and found["number"] >= last
    return Row(
        "killed while writing a checkpoint: the last good one stands",
        kills,
        held,
        stock="killed in a save",
    )


def full_disks(ground: Ground, trials: int) -> Row:
    held = 0
    for _ in range(trials):
        folder, last = _two(ground)
        most = ground.random.randrange(2**18)

        def work() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))  # noqa: B023
            with contextlib.suppress(OSError):
                write(folder, 3)  # noqa: B023

        assert ground.forked(work).wait() == [0]
        found = files.newest(folder)
        held += found is not None and found["number"] == last
    return Row(
        "disk full while writing a checkpoint: the last good one stands",
        trials,
        held,
        stock="disk full",
    )


def _two(ground: Ground) -> tuple[Path, int]:
    folder = ground.new("files")
    for number in (1, 2):
        write(folder, number)
    return folder, 2


def write(folder: Path, number: int) -> None:
    weights = torch.full((2**16,), float(number))
    files.write(folder, f"{number:03d}", {"number": number, "weights": weights}, {})


def dying_after(calls: int, work: Callable[[], None]) -> None:
    """Does it, and is killed after so many calls that write, wait for the disk, or rename."""
    left = [calls]

    def deadly(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return real(*given, **named)

        return call

    files._Hashed.write = deadly(files._Hashed.write)  # type: ignore[method-assign]
    os.fsync, os.replace = deadly(os.fsync), deadly(os.replace)
    Path.replace = deadly(Path.replace)  # type: ignore[method-assign]
    work()
