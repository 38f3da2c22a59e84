"""A sweep's jobs side by side: a ranking, and accuracy against cost; read from their folders."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group
from rich.table import Table

from graftwork.artifacts import Artifacts
from graftwork.terminal import literal

if TYPE_CHECKING:  # drawing is imported where a sweep ends: a job should start at once
    from markupsafe import Markup

    from graftwork.recording.finished_runs import FinishedRun

COLUMNS = (
    "rank", "job", "differs", "top1", "low", "high", "macro_f1", "seconds", "peak_mib",
    "parameters", "status", "run_id", "error",
)  # fmt: skip


@dataclass(frozen=True)
class Section:
    """A part of the page, below the ranking."""

    heading: str
    sentences: list[str]
    pictures: list[Markup]


def ranking(folder: Path) -> list[dict[str, Any]]:
    """One row a job: the best top-1 first, jobs that did not finish last."""
    jobs = [path.parent for path in folder.rglob("job.json")]
    rows = sorted((_row(job) for job in jobs), key=_place)
    return [{**row, "rank": number} for number, row in enumerate(rows, 1)]


def _row(job: Path) -> dict[str, Any]:
    artifacts = Artifacts.at(job)
    metrics, facts = read(artifacts.metrics), read(job / "job.json")
    costs = [read(path) for path in sorted(artifacts.cost("any").parent.glob("*.json"))]
    first = score(metrics, "top1")
    known = {
        "job": facts.get("job"),
        "differs": facts.get("differs", ""),
        "status": facts.get("status", "killed"),
        "error": " ".join(facts.get("error", "").split())[:500],
        "top1": first.get("value"),
        "low": first.get("low"),
        "high": first.get("high"),
        "macro_f1": score(metrics, "macro_f1").get("value"),
        "seconds": sum(cost["seconds"] for cost in costs),
        "peak_mib": max((cost["peak_mib"] for cost in costs), default=None),
        "parameters": metrics.get("cost", {}).get("parameters"),
        "run_id": read(artifacts.run).get("run_id", ""),
    }
    return {column: known.get(column) for column in COLUMNS}


def _place(row: Mapping[str, Any]) -> tuple[bool, float, int]:
    score = row["top1"] if row["status"] == "finished" else None
    return score is None, -(score or 0.0), row["job"] or 0


def table(rows: Sequence[Mapping[str, Any]], width: int) -> Group:
    """The ranking for a terminal, and below it why jobs did not finish.

    Args:
        width: characters; where there are few, columns that ranking.html has too are left out.
    """
    numbers = {name: tell for name, tell in NUMBERS.items() if width >= WIDE or name in NEEDED}
    shown = Table(title="Ranking by test top-1", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown.add_column("")
    shown.add_column("what differs", overflow="fold")
    for name in (*numbers, "run"):
        shown.add_column(name.replace(" ", "\n", 1), justify="right", no_wrap=True)
    for row in rows:
        finished = row["status"] == "finished"
        cells = [tell(row) for tell in numbers.values()] if finished else [""] * len(numbers)
        cells[0] = cells[0] if finished else row["status"]
        run = literal((row["run_id"] or "")[:8])
        shown.add_row(str(row["rank"]), literal(row["differs"]), *cells, run)
    reasons = [literal(f"{row['differs']}: {_reason(row)}") for row in rows if row["error"]]
    return Group(shown, *reasons)


def _size(row: Mapping[str, Any]) -> str:
    return f"{row['parameters'] / 1e6:.2f} M" if row["parameters"] else ""


def _rounded(value: float | None) -> str:
    return f"{value:,.{0 if value >= 10 else 1}f}" if value else ""


NUMBERS: dict[str, Callable[[Mapping[str, Any]], str]] = {  # of the terminal's table
    "top-1 %": lambda row: _percent(row["top1"]),
    "interval %": lambda row: _interval(row),
    "macro-F1 %": lambda row: _percent(row["macro_f1"]),
    "seconds": lambda row: _rounded(row["seconds"]),
    "peak MiB": lambda row: _rounded(row["peak_mib"]),
    "parameters": _size,
}
NEEDED = ("top-1 %", "interval %", "seconds")
WIDE = 110  # characters, for all of them


def _reason(row: Mapping[str, Any]) -> str:
    return f"{row['status']}: {row['error']}" if row["error"] else row["status"]


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """The ranking for other programs: full precision, fractions instead of percent."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_html(rows: Sequence[Mapping[str, Any]], title: str, sections: Sequence[Section]) -> str:
    """The ranking as a page of its own, which MLflow shows beside the parent run.

    Args:
        rows: of ranking().
        title: what was swept.
        sections: below it.
    """
    from graftwork.reporting.drawing import render

    return render(
        "ranking.html.jinja",
        title=title,
        rows=rows,
        sections=sections,
        percent=_percent,
        interval=_interval,
        reason=_reason,
    )


def _interval(row: Mapping[str, Any]) -> str:
    return "" if row["low"] is None else f"{_percent(row['low'])}-{_percent(row['high'])}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def accuracy_against_cost(rows: Sequence[Mapping[str, Any]], folder: Path) -> list[Section]:
    """Top-1 against each cost: a section for each test set on which several jobs finished."""
    from graftwork.pareto.candidates import candidates, score_of
    from graftwork.pareto.comparison import comparison
    from graftwork.pareto.frontier import by_data
    from graftwork.reporting.pareto_page import pictures

    finished = {row["job"] for row in rows if row["status"] == "finished"}
    jobs = [path.parent for path in sorted(folder.rglob("job.json"))]
    runs = [_run(job) for job in jobs if read(job / "job.json").get("job") in finished]
    runs = [run for run in runs if "test/top1" in run.metrics]
    if not runs:
        return []
    shown = (
        comparison(group, score_of("top1", runs), (), None)
        for group in by_data(candidates(runs, "top1"))
        if len(group) > 1 and any(run.costs for run in group)
    )
    return [Section(one.title, one.sentences(), pictures(one)) for one in shown]


def _run(job: Path) -> FinishedRun:
    """A job's results under the names that MLflow has for them."""
    import yaml

    from graftwork.recording.finished_runs import FinishedRun
    from graftwork.recording.lineage import data_digests
    from graftwork.recording.tracked_params import flat
    from graftwork.recording.tracked_run import joined

    artifacts = Artifacts.at(job)
    metrics = read(artifacts.metrics)
    found = score(metrics, "top1")
    ends = {"test/top1": "value", "test/top1_low": "low", "test/top1_high": "high"}
    params = (
        yaml.safe_load(artifacts.params.read_text("utf-8")) if artifacts.params.is_file() else {}
    )
    digests = data_digests(artifacts.manifest)
    return FinishedRun(
        run_id=read(artifacts.run).get("run_id", job.name),
        started=0,
        params=flat(params),
        metrics={name: found[end] for name, end in ends.items() if end in found}
        | dict(joined(metrics.get("cost", {}), "cost")),
        tags={name: digest for name, digest in digests.items() if digest},
    )


def score(metrics: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Value and interval of a test metric; empty where it is not known."""
    return metrics.get("test", {}).get(name, {})


def read(path: Path) -> dict[str, Any]:
    """A JSON file; empty where there is none."""
    return json.loads(path.read_text()) if path.is_file() else {}
