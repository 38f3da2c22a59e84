"""Rankings for a terminal, for a browser, and for other programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table

from graftwork.process.terminal import literal
from graftwork.storage import csv_tables
from pipelines.ranking import Job, Ranking, Scores
from pipelines.ranking_words import sentences

if TYPE_CHECKING:
    from pipelines.sweep_costs import Section

NEEDED = ("held-out top-1 %", "test top-1 %", "seconds")
WIDE = 130  # characters, for all columns
ENDS = ("value", "low", "high")


def table(rankings: Sequence[Ranking], width: int) -> Group:
    """The rankings, and below each what is to be known of it and why jobs did not finish.

    Args:
        width: characters; where there are few, columns that ranking.html has too are left out.
    """
    return Group(*(part for ranking in rankings for part in _parts(ranking, width)))


def _parts(ranking: Ranking, width: int) -> list[RenderableType]:
    numbers = {name: tell for name, tell in NUMBERS.items() if width >= WIDE or name in NEEDED}
    shown = Table(title=literal(ranking.heading), box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown.add_column("")
    shown.add_column("what differs", overflow="fold")
    for name in (*numbers, "run"):
        shown.add_column(name.replace(" ", "\n", 1), justify="right", no_wrap=True)
    for job in ranking.jobs:
        cells = [literal(tell(job) if job.finished else "") for tell in numbers.values()]
        cells[0] = cells[0] if job.finished else literal(job.status)
        rank = ranking.rank(job)
        shown.add_row(str(rank or "-"), literal(job.differs), *cells, literal(job.run_id[:8]))
    reasons = [f"{job.differs}: {reason(job)}" for job in ranking.jobs if job.error]
    return [shown, *map(literal, [*sentences(ranking), *reasons])]


def reason(job: Job) -> str:
    """Why a job did not finish, or what went wrong after it had."""
    return f"{job.status}: {job.error}" if job.error else job.status


def percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def interval(scores: Scores) -> str:
    """Of top-1, in per cent."""
    top1 = scores.get("top1", {})
    if None in (top1.get("low"), top1.get("high")):
        return ""
    return f"{percent(top1['low'])}-{percent(top1['high'])}"


def value(scores: Scores, name: str) -> float | None:
    return scores.get(name, {}).get("value")


def _both(scores: Scores, absent: str) -> str:
    if not scores:
        return absent
    ends = interval(scores)
    return f"{percent(value(scores, 'top1'))}{f' ({ends})' if ends else ''}"


def _rounded(number: float | None) -> str:
    return f"{number:,.{0 if number >= 10 else 1}f}" if number else ""


NUMBERS: dict[str, Callable[[Job], str]] = {  # of the terminal's table
    "held-out top-1 %": lambda job: _both(job.selection, "no score"),
    "test top-1 %": lambda job: _both(job.test, "not looked at"),
    "test macro-F1": lambda job: percent(value(job.test, "macro_f1")),
    "chosen by": lambda job: job.method,
    "fitted on": lambda job: str(job.fitted or ""),
    "seconds": lambda job: _rounded(job.seconds),
    "peak MiB": lambda job: _rounded(job.peak_mib),
    "parameters": lambda job: f"{job.parameters / 1e6:.2f} M" if job.parameters else "",
}


def as_csv(rankings: Sequence[Ranking]) -> str:
    """For other programs: full precision, fractions instead of per cent; ranks begin anew."""
    rows = [_row(ranking, job) for ranking in rankings for job in ranking.jobs]
    return csv_tables.as_csv(csv_tables.columns_of(rows), rows)


def _row(ranking: Ranking, job: Job) -> dict[str, Any]:
    chosen, tested = (scores.get("top1", {}) for scores in (job.selection, job.test))
    return {
        "rank": ranking.rank(job),
        "data": job.data,
        "job": job.number,
        "differs": job.differs,
        **{f"selection_top1_{end}": chosen.get(end) for end in ENDS},
        "selection_log_loss": value(job.selection, "log_loss"),
        "method": job.method,
        "held_out": job.held_out,
        "fitted": job.fitted,
        **{f"test_top1_{end}": tested.get(end) for end in ENDS},
        "test_macro_f1": value(job.test, "macro_f1"),
        "seconds": job.seconds,
        "peak_mib": job.peak_mib,
        "parameters": job.parameters,
        "status": job.status,
        "run_id": job.run_id,
        "error": job.error,
    }


def as_html(
    rankings: Sequence[Ranking],
    title: str,
    sections: Sequence[Section],
    configurations: Sequence[Section] = (),
) -> str:
    """A page of its own, which MLflow shows beside the parent run.

    Args:
        title: what was swept.
        sections: below the rankings.
        configurations: above them, seeds taken together.
    """
    from graftwork.reporting.pages import render

    return render(
        "ranking.html.jinja",
        title=title,
        rankings=[(ranking, sentences(ranking)) for ranking in rankings],
        sections=sections,
        configurations=configurations,
        percent=percent,
        interval=interval,
        value=value,
        reason=reason,
    )
