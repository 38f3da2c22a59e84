"""A sweep: a parent run, a child a job, and in the end a ranking with its cost.

Jobs and launcher share nothing but files in the sweep's folder, so that they may be other
processes or other machines: `run.json` (the parent run), `sweep.json` (what differs), and a
`job.json` in each job's folder.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from graftwork.artifacts import Artifacts
from graftwork.errors import UserError
from graftwork.recording.tracked_run import status_of
from graftwork.reporting import sweep_curves
from graftwork.tracking import NAME, PARENT, Tracking, open_sweep

log = logging.getLogger(__name__)
COLUMNS = (
    "rank", "job", "differs", "top1", "low", "high", "macro_f1", "seconds", "peak_mib",
    "parameters", "status", "run_id", "error",
)  # fmt: skip


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
    _write(folder / "sweep.json", {"swept": {key: list(found) for key, found in swept.items()}})
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
            (folder / "ranking.csv").write_text(as_csv(rows))
            (folder / "ranking.html").write_text(as_html(rows, title))
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
    _write(path, {**facts, "status": "killed"})  # true until it says otherwise
    parent = json.loads((folder / "run.json").read_text())["run_id"]
    with _environment({PARENT: parent, NAME: differs}):
        try:
            work(artifacts)
        except (Exception, SystemExit) as error:
            if status_of(error) == "KILLED":
                raise
            _write(path, {**facts, "status": "failed", "error": f"{error or type(error).__name__}"})
            mistake = isinstance(error, UserError)
            log.error("job %d (%s): %s", number, differs, error, exc_info=not mistake)
            return math.nan
    _write(path, {**facts, "status": "finished"})
    found = top1(artifacts)
    return math.nan if found is None else found


def top1(artifacts: Artifacts) -> float | None:
    """Top-1 of the test split, if the experiment has got there."""
    return _score(_read(artifacts.metrics), "top1").get("value")


def ranking(folder: Path) -> list[dict[str, Any]]:
    """One row a job: the best top-1 first, jobs that did not finish last."""
    jobs = [path.parent for path in folder.rglob("job.json")]
    rows = sorted((_row(job) for job in jobs), key=_place)
    return [{**row, "rank": number} for number, row in enumerate(rows, 1)]


def _row(job: Path) -> dict[str, Any]:
    artifacts = Artifacts.at(job)
    metrics, facts = _read(artifacts.metrics), _read(job / "job.json")
    costs = [_read(path) for path in sorted(artifacts.cost("any").parent.glob("*.json"))]
    first = _score(metrics, "top1")
    known = {
        "job": facts.get("job"),
        "differs": facts.get("differs", ""),
        "status": facts.get("status", "killed"),
        "error": " ".join(facts.get("error", "").split())[:500],
        "top1": first.get("value"),
        "low": first.get("low"),
        "high": first.get("high"),
        "macro_f1": _score(metrics, "macro_f1").get("value"),
        "seconds": sum(cost["seconds"] for cost in costs),
        "peak_mib": max((cost["peak_mib"] for cost in costs), default=None),
        "parameters": metrics.get("cost", {}).get("parameters"),
        "run_id": _read(artifacts.run).get("run_id", ""),
    }
    return {column: known.get(column) for column in COLUMNS}


def _place(row: Mapping[str, Any]) -> tuple[bool, float, int]:
    score = row["top1"] if row["status"] == "finished" else None
    return score is None, -(score or 0.0), row["job"] or 0


def table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The ranking for a terminal."""
    shown = Table(title="Ranking by test top-1", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown.add_column("")
    shown.add_column("what differs", overflow="fold")
    for name in ("top-1 %", "95 %", "macro-F1 %", "seconds", "peak MiB", "parameters", "run"):
        shown.add_column(name.replace(" ", "\n", 1), justify="right", no_wrap=True)
    for row in rows:
        finished = row["status"] == "finished"
        name = row["differs"] if finished else f"{row['differs']}\n{_reason(row)}"
        scores = [_percent(row["top1"]), _interval(row), _percent(row["macro_f1"])]
        cost = [f"{row[key]:,.0f}" if row[key] else "" for key in ("seconds", "peak_mib")]
        size = f"{row['parameters'] / 1e6:.2f} M" if row["parameters"] else ""
        run = (row["run_id"] or "")[:8]
        shown.add_row(str(row["rank"]), name, *(scores if finished else [""] * 3), *cost, size, run)
    return shown


def _reason(row: Mapping[str, Any]) -> str:
    return f"{row['status']}: {row['error']}" if row["error"] else row["status"]


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """The ranking for other programs: full precision, fractions instead of percent."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_html(rows: Sequence[Mapping[str, Any]], title: str) -> str:
    """The ranking as a page of its own, which MLflow shows beside the parent run."""
    head = "".join(f"<th>{name}" for name in COLUMNS)
    lines = ("".join(f"<td>{escape(_cell(row[name]))}" for name in COLUMNS) for row in rows)
    body = "".join(f"<tr>{line}\n" for line in lines)
    return (
        f'<!doctype html><meta charset="utf-8"><title>{escape(title)}</title>'
        "<style>body{font:14px sans-serif}td,th{padding:4px 10px;text-align:left;"
        "border-bottom:1px solid #ccc}</style>"
        f"<h1>{escape(title)}</h1><table><tr>{head}\n{body}</table>\n"
    )


def _interval(row: Mapping[str, Any]) -> str:
    return "" if row["low"] is None else f"{_percent(row['low'])}-{_percent(row['high'])}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) and value < 1e4 else str(value)


def _score(metrics: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return metrics.get("test", {}).get(name, {})


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


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.is_file() else {}


def _write(path: Path, facts: Mapping[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(facts) + "\n")
    os.replace(partial, path)
