"""Accuracy against one cost: the frontier as a step line with its runs named, the others grey."""

from __future__ import annotations

from markupsafe import Markup

from graftwork.pareto.axes import Axis
from graftwork.pareto.candidates import Score
from graftwork.pareto.frontier import Candidate, Compared, Measured
from graftwork.reporting.numbers import compact
from graftwork.reporting.scatter import Dot, Ruler, scatter

BUSY = "taken while other programs kept the machine busy: may be too high"


def pareto_plot(compared: Compared, axis: Axis, score: Score) -> Markup:
    """The picture of one cost.

    Args:
        compared: with at least one member.
        axis: the cost.
        score: what the values are.
    """
    runs = [*compared.dominated, *compared.members]
    by = 100 if score.is_share else 1
    return scatter(
        [_dot(run, axis, score, run in compared.members) for run in runs],
        Ruler(axis.label, "~s" if axis.shown is compact else ",.3~r"),
        Ruler(score.title, ".3~g", ratios=False),
        title=f"{score.label} against {axis.label.partition(',')[0]}",
        note=_note(compared, score),
        steps=[(run.costs[axis.word], by * run.value) for run in compared.members],
    )


def _dot(run: Candidate, axis: Axis, score: Score, member: bool) -> Dot:
    cost, by = run.costs[axis.word], 100 if score.is_share else 1
    doubtful = axis.word in run.doubtful
    return Dot(
        x=cost,
        y=by * run.value,
        name=run.name,
        about=f"{run.name}: {told(run, score)}; {axis.label}: {axis.shown(cost)}"
        + (f"; {BUSY}" if doubtful else ""),
        colour="one" if member else "dim",
        named=member,
        hollow=doubtful,
        low=None if run.low is None else by * run.low,
        high=None if run.high is None else by * run.high,
    )


def told(run: Candidate | Measured, score: Score) -> str:
    """Value and interval in words."""
    unit = " %" if score.is_share else ""
    if run.low is None or run.high is None:
        return f"{score.shown(run.value)}{unit}"
    return f"{score.shown(run.value)} ({score.shown(run.low)} to {score.shown(run.high)}){unit}"


def _note(compared: Compared, score: Score) -> str:
    count = len(compared.members) + len(compared.dominated)
    words = f"{_runs(count)}, {len(compared.members)} on the frontier; others grey"
    if not score.higher_is_better:
        words += "; lower is better"
    if any(run.low is not None for run in compared.members):
        words += f"; bars: {100 * score.confidence:g} % intervals"
    if any(compared.word in run.doubtful for run in [*compared.dominated, *compared.members]):
        words += "; hollow: on a busy machine"
    return words


def _runs(count: int) -> str:
    return f"{count} run" if count == 1 else f"{count} runs"
