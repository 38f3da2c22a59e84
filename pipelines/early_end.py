"""A job of a sweep that ends before its end, because its sweep has no more use for it.

After each epoch it is asked, by the held-out score so far and never by the test. What ends it is
what ends any training: SIGTERM to itself, by which all of its processes stop at the same step.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from graftwork.storage.files import write_json
from pipelines.ranking import PRUNED, STOPPED, read

if TYPE_CHECKING:
    from graftwork.storage.artifacts import Artifacts
    from graftwork.training.history import Row, Told

SWEEP = "GRAFTWORK_SWEEP"  # environment: folder of the sweep whose job this is
UNTIL = "GRAFTWORK_UNTIL"  # environment: the epoch after which this job makes way for others
ENDS = "GRAFTWORK_ENDS"  # environment: when its sweep has no more time, in seconds since 1970
ENDED = "ended.json"  # in a job's folder: why it ended before its end
SCORES = ("val/top1", "probe/cv_top1", "probe/top1")  # of held-out pictures, in a row of curves

Judge = Callable[[float, int], str]  # from a score and its epoch: why to end; empty: it goes on


def judge_of(root: Path) -> Judge | None:
    """Of the job in this folder; None: nobody asks."""
    if not (folder := os.environ.get(SWEEP)):
        return None
    if until := os.environ.get(UNTIL):
        return lambda _, epoch: f"after epoch {epoch}, kept" if epoch >= int(until) else ""
    from pipelines.search_study import judge

    return judge(Path(folder), read(root / "job.json").get("overrides", ()))


def watched(told: Told, judge: Judge, tag: Callable[[Mapping[str, str]], None], root: Path) -> Told:
    """Tells on, and then asks whether the job should go on.

    Args:
        tag: of the recorded run.
        root: of the experiment.
    """

    def tell(row: Row, epoch: int) -> None:
        told(row, epoch)
        score = next((row[name] for name in SCORES if name in row), None)
        if score is not None and (why := judge(score, epoch)):
            status = STOPPED if os.environ.get(UNTIL) else PRUNED
            tag({status: why})
            end(root, status, why)

    return tell


def end(root: Path, status: str, why: str) -> None:
    """Asks this process to end, kept, having written down why."""
    write_json(root / ENDED, {"status": status, "error": why})
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def in_time(root: Path) -> Iterator[None]:
    """Around a job: nothing is said yet, and it ends when its sweep's minutes are over."""
    (root / ENDED).unlink(missing_ok=True)
    if not (ends := os.environ.get(ENDS)):
        yield
        return
    why = "the minutes of sweep.budget were over; kept"
    clock = threading.Timer(max(0.0, float(ends) - time.time()), end, (root, STOPPED, why))
    clock.daemon = True
    clock.start()
    try:
        yield
    finally:
        clock.cancel()


def told(artifacts: Artifacts) -> dict[str, str]:
    """Status and reason; empty where the sweep itself ended nothing."""
    path = artifacts.root / ENDED
    return read(path) if path.is_file() else {}
