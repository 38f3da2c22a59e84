"""Accuracy against cost on a page of its own, and in a terminal."""

from __future__ import annotations

from markupsafe import Markup
from rich import box
from rich.table import Table
from rich.text import Text

from graftwork.pareto.axes import Axis
from graftwork.pareto.comparison import Comparison
from graftwork.pareto.frontier import Candidate, apart
from graftwork.reporting.drawing import render
from graftwork.reporting.pareto_plot import pareto_plot, told
from graftwork.terminal import literal


def pictures(shown: Comparison) -> list[Markup]:
    """One picture a cost."""
    return [pareto_plot(compared, axis, shown.score) for axis, compared in shown.along]


def page(shown: Comparison) -> str:
    """One HTML file that needs nothing but itself: pictures, and all runs as a table."""
    return render(
        "pareto.html.jinja",
        title=shown.title,
        sentences=shown.sentences(),
        pictures=pictures(shown),
        score=shown.score,
        along=shown.along,
        runs=shown.runs,
        apart=apart,
        told=lambda run: told(run, shown.score),
    )


def table(shown: Comparison) -> Table:
    """The runs that are on the frontier of a cost, for a terminal."""
    found = Table(title=literal(shown.title), title_justify="left", box=box.SIMPLE_HEAD)
    found.add_column("on a frontier (●)", overflow="fold")
    found.add_column(literal(shown.score.title), justify="right")
    found.add_column(f"{100 * shown.score.confidence:g} %", justify="right", no_wrap=True)
    for axis, compared in shown.along:
        count = len(compared.members) + len(compared.dominated)
        head = literal(axis.word).append(f"\n{len(compared.members)} of {count}")
        found.add_column(head, justify="right", no_wrap=True)
    found.add_column("run", no_wrap=True)
    for run in shown.runs:
        members = shown.on_frontier(run)
        if members:
            costs = [_cost(run, axis, axis.word in members) for axis, _ in shown.along]
            value, ends = shown.score.shown(run.value), _interval(run, shown)
            found.add_row(literal(run.name), value, ends, *costs, literal(run.run_id[:8]))
    return found


def _interval(run: Candidate, shown: Comparison) -> str:
    if run.low is None or run.high is None:
        return ""
    return f"{shown.score.shown(run.low)}-{shown.score.shown(run.high)}"


def _cost(run: Candidate, axis: Axis, member: bool) -> Text:
    if axis.word not in run.costs:
        return Text("")
    return Text(axis.shown(run.costs[axis.word])).append(" ●" if member else "  ", "bold green")
