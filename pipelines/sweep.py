"""A sweep: a parent run, a child a job, and in the end a ranking with its cost.

Jobs and launcher share nothing but files in the sweep's folder, so that they may be other
processes or other machines: `run.json` (the parent run), `sweep.json` (what differs), and a
`job.json` in each job's folder.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from graftwork.artifacts import Artifacts
from graftwork.errors import UserError
from graftwork.files import write_json
from graftwork.recording.tracked_run import status_of
from graftwork.reporting import sweep_curves
from graftwork.tracking import NAME, PARENT, Tracking, open_sweep
from pipelines.ranking import accuracy_against_cost, as_csv, as_html, ranking, read, score, table

log = logging.getLogger(__name__)


@dataclass
class Ended:
    """How a sweep ended; filled in when it has."""

    failures: int = 0


@contextmanager
def recorded(
    folder: Path, swept: Mapping[str, Sequence[str]], tracking: Tracking, shared: Path
) -> Iterator[Ended]:
    """Opens the parent run; afterwards ranks the jobs, prints and records the ranking."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "sweep.json", {"swept": {key: list(found) for key, found in swept.items()}})
    title = " ".join(f"{key}={','.join(found)}" for key, found in swept.items())
    parent = open_sweep(tracking, Artifacts.at(folder, shared), title or folder.name, swept)
    ended, error = Ended(), None
    try:
        yield ended
    except BaseException as caught:
        error = caught
        raise
    finally:
        rows = ranking(folder)
        ended.failures = sum(row["status"] != "finished" for row in rows)
        if rows:
            Console().print(table(rows))
            page = as_html(rows, title, accuracy_against_cost(rows, folder))
            (folder / "ranking.csv").write_text(as_csv(rows))
            (folder / "ranking.html").write_text(page)
            parent.log_artifacts(folder / "ranking.csv")
            parent.log_artifacts(folder / "ranking.html")
            if curves := sweep_curves.write(folder, swept):
                parent.log_artifacts(curves)
        failed = bool(ended.failures) and error is None
        parent.finish("FAILED" if failed else status_of(error))


def member(
    artifacts: Artifacts,
    folder: Path,
    number: int,
    overrides: Sequence[str],
    work: Callable[[Artifacts], None],
) -> float:
    """Does one job of a sweep. Its failure is written down; the other jobs go on.

    Returns:
        Test top-1; NaN if the job failed.
    """
    differs = _differing(overrides, json.loads((folder / "sweep.json").read_text())["swept"])
    facts: dict[str, Any] = {"job": number, "differs": differs, "overrides": list(overrides)}
    path = artifacts.root / "job.json"
    write_json(path, {**facts, "status": "killed"})  # true until it says otherwise
    parent = json.loads((folder / "run.json").read_text())["run_id"]
    with _environment({PARENT: parent, NAME: differs}):
        try:
            work(artifacts)
        except (Exception, SystemExit) as error:
            if status_of(error) == "KILLED":
                raise
            write_json(
                path, {**facts, "status": "failed", "error": f"{error or type(error).__name__}"}
            )
            mistake = isinstance(error, UserError)
            log.error("job %d (%s): %s", number, differs, error, exc_info=not mistake)
            return math.nan
    write_json(path, {**facts, "status": "finished"})
    found = top1(artifacts)
    return math.nan if found is None else found


def top1(artifacts: Artifacts) -> float | None:
    """Top-1 of the test split, if the experiment has got there."""
    return score(read(artifacts.metrics), "top1").get("value")


def _differing(overrides: Sequence[str], swept: Mapping[str, object]) -> str:
    """The overrides that tell a job from the others; sweepers may add their own."""
    chosen = [item for item in overrides if item.partition("=")[0] in swept]
    return " ".join(chosen or overrides) or "(nothing)"


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
