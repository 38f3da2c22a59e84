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
from graftwork.recording.tracked_run import Run, status_of
from graftwork.reporting import sweep_curves
from graftwork.terminal import visible, visible_lines
from graftwork.tracking import NAME, PARENT, Tracking, open_sweep
from pipelines.ranking import accuracy_against_cost, as_csv, as_html, ranking, read, score, table

log = logging.getLogger(__name__)

Row = dict[str, Any]  # a job of ranking()


@dataclass
class Ended:
    """How a sweep ended; filled in when it has."""

    failures: int = 0


@contextmanager
def recorded(
    folder: Path, swept: Mapping[str, Sequence[str]], tracking: Tracking, shared: Path
) -> Iterator[Ended]:
    """Opens the parent run; afterwards ranks the jobs, records the ranking and prints it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "sweep.json", {"swept": {key: list(found) for key, found in swept.items()}})
    title = " ".join(f"{key}={','.join(found)}" for key, found in swept.items())
    parent = open_sweep(tracking, Artifacts.at(folder, shared), title or folder.name, swept)
    ended, rows = Ended(), list[Row]()
    try:
        with _finished(parent, ended):
            try:
                yield ended
            finally:
                rows = ranking(folder)
                ended.failures = sum(row["status"] != "finished" for row in rows)
                if rows:
                    _record(rows, folder, parent, title, swept)
    finally:  # last: by now no failure to print can lose a file or leave the parent open
        if rows:
            _print(rows, folder)


@contextmanager
def _finished(parent: Run, ended: Ended) -> Iterator[None]:
    """Ends the parent run, whatever happens: as its jobs did, or as what ended them says."""
    try:
        yield
    except BaseException as error:
        parent.finish(status_of(error))
        raise
    parent.finish("FAILED" if ended.failures else "FINISHED")


def _record(
    rows: Sequence[Row],
    folder: Path,
    parent: Run,
    title: str,
    swept: Mapping[str, Sequence[str]],
) -> None:
    """Writes ranking and curves, the numbers first: they do not hang on any drawing."""
    (folder / "ranking.csv").write_text(as_csv(rows))
    parent.log_artifacts(folder / "ranking.csv")
    page = as_html(rows, title, accuracy_against_cost(rows, folder))
    (folder / "ranking.html").write_text(page)
    parent.log_artifacts(folder / "ranking.html")
    if curves := sweep_curves.write(folder, swept):
        parent.log_artifacts(curves)


def _print(rows: Sequence[Row], folder: Path) -> None:
    """Shows the ranking. It is on disk: a terminal that cannot show it fails no sweep."""
    try:
        console = Console()
        console.print(table(rows, console.width))
    except Exception as error:
        reason = visible_lines(error)
        log.warning("%s could not be shown: %s", visible(folder / "ranking.csv"), reason)


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
            said = number, visible(differs), visible_lines(error)
            log.error("job %d (%s): %s", *said, exc_info=not mistake)
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
