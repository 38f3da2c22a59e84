"""Accuracy against cost on a page of its own, and in a terminal."""

from __future__ import annotations

from markupsafe import Markup
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from graftwork.pareto.axes import Axis
from graftwork.pareto.candidates import SELECTION
from graftwork.pareto.comparison import Comparison
from graftwork.pareto.frontier import Candidate, Compared, Measured, apart
from graftwork.pareto.plot import pareto_plot, told
from graftwork.process.terminal import literal
from graftwork.reporting.pages import render

NAME = 28  # characters of a run's name that must fit in a line
UNBOUND = 10_000  # characters


def pictures(shown: Comparison) -> list[Markup]:
    """One picture a cost."""
    return [pareto_plot(compared, axis, shown.score) for axis, compared in shown.along]


def page(shown: Comparison) -> str:
    """One HTML file that needs nothing but itself: pictures, and all runs as a table."""
    return render(
        "pareto.html.jinja",
        title=shown.title,
        sentences=[*shown.sentences(), *shown.cautions()],
        pictures=pictures(shown),
        score=shown.score,
        along=shown.along,
        runs=shown.runs,
        tested=_tested(shown),
        apart=apart,
        told=lambda run: told(run, shown.score),
    )


def _tested(shown: Comparison) -> bool:
    """Whether test scores stand beside the scores that choose."""
    return shown.score.on == SELECTION and any(run.test for run in shown.runs)


def table(shown: Comparison, console: Console) -> Table:
    """The runs that are on the frontier of a cost, for this terminal.

    One line a run where there is room; else the score stands below the run's name.
    """
    wide = _table(shown, stacked=False)
    # Asked without a bound: within the console's width, any table is said to fit.
    unfolded = console.measure(wide, options=console.options.update(width=UNBOUND)).maximum
    names = [cell_len(run.name) for run in shown.runs if shown.on_frontier(run)]
    needed = unfolded - max(0, max(names, default=0) - NAME)  # names alone are folded
    return wide if needed <= console.width else _table(shown, stacked=True)


def _table(shown: Comparison, *, stacked: bool) -> Table:
    found = Table(
        title=literal(shown.title),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 2, 0, 0) if not stacked else (0, 1, 0, 0),
        pad_edge=False,
    )
    runs = "on a frontier (●)"
    score = Text("\n").join(map(Text, shown.score.title.split(", ")))
    interval = f"{100 * shown.score.confidence:g} %\ninterval"
    if stacked:
        runs += f"\n{shown.score.title}\n({interval}) run".replace("%\n", "% ")
    found.add_column(Text(runs), overflow="fold", min_width=NAME)
    if not stacked:
        found.add_column(score, justify="right", no_wrap=True)
        found.add_column(interval, justify="right", no_wrap=True)
        if _tested(shown):
            found.add_column(Text("test"), justify="right", no_wrap=True)
    for axis, compared in shown.along:
        found.add_column(_head(axis, compared), justify="right", no_wrap=True)
    if not stacked:
        found.add_column("run", no_wrap=True)
    for run in shown.runs:
        members = shown.on_frontier(run)
        if members:
            costs = [_cost(run, axis, axis.word in members) for axis, _ in shown.along]
            found.add_row(*(_stacked(run, shown, costs) if stacked else _line(run, shown, costs)))
    return found


def _head(axis: Axis, compared: Compared) -> Text:
    """Word, unit and how many are on the frontier; counts have no unit."""
    count = len(compared.members) + len(compared.dominated)
    return Text(f"{axis.word}\n{axis.label.partition(', ')[2]}\n{len(compared.members)} of {count}")


def _line(run: Candidate, shown: Comparison, costs: list[Text]) -> list[Text | str]:
    value = shown.score.shown(run.value)
    test = [_test(run, shown)] if _tested(shown) else []
    run_id = literal(run.run_id[:8])
    return [literal(run.name), value, _interval(run, shown), *test, *costs, run_id]


def _test(run: Candidate, shown: Comparison) -> str:
    if run.test is None:
        return "not looked at"
    ends = _interval(run.test, shown)
    return f"{shown.score.shown(run.test.value)}{f' ({ends})' if ends else ''}"


def _stacked(run: Candidate, shown: Comparison, costs: list[Text]) -> list[Text]:
    ends = _interval(run, shown)
    score = f"{shown.score.shown(run.value)} {f'({ends}) ' if ends else ''}{run.run_id[:8]}"
    lines = [run.name, f"  {score}"]
    if _tested(shown):
        lines.append(f"  test: {_test(run, shown)}")
    return [Text("\n").join(map(literal, lines)), *costs]


def _interval(run: Candidate | Measured, shown: Comparison) -> str:
    if run.low is None or run.high is None:
        return ""
    return f"{shown.score.shown(run.low)}-{shown.score.shown(run.high)}"


def _cost(run: Candidate, axis: Axis, member: bool) -> Text:
    if axis.word not in run.costs:
        return Text("")
    busy = " ○" if axis.word in run.doubtful else ""
    shown = Text(f"{axis.shown(run.costs[axis.word])}{busy}")
    return shown.append(" ●" if member else "  ", "bold green")
