"""Accuracy against one cost: the frontier as a step line with its runs named, the others grey."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from graftwork.pareto.axes import Axis
from graftwork.pareto.candidates import Score
from graftwork.pareto.frontier import Candidate, Compared, Measured
from graftwork.reporting.scatter import Dot, Ruler, horizontal, scatter, vertical


def pareto_plot(compared: Compared, axis: Axis, score: Score) -> Markup:
    """The picture of one cost.

    Args:
        compared: with at least one member.
        axis: the cost.
        score: what the values are.
    """
    runs = [*compared.dominated, *compared.members]
    ends = [end for run in runs for end in (run.low, run.high, run.value) if end is not None]
    x = Ruler.over([run.costs[axis.word] for run in runs], axis.label, axis.shown, horizontal())
    limits = (0.0, 1.0) if score.is_share else None
    y = Ruler.over(ends, score.title, lambda v: _tick(v, score), vertical(), limits)
    dots = [_dot(run, axis, score, run in compared.members) for run in runs]
    return scatter(
        dots,
        x,
        y,
        title=f"{score.label} against {axis.label.partition(',')[0]}",
        note=_note(compared, score),
        steps=_steps(compared.members, axis.word, x.scale.high),
    )


def _dot(run: Candidate, axis: Axis, score: Score, member: bool) -> Dot:
    cost = run.costs[axis.word]
    return Dot(
        x=cost,
        y=run.value,
        name=run.name,
        about=f"{run.name}: {told(run, score)}; {axis.label}: {axis.shown(cost)}",
        colour="one" if member else "dim",
        named=member,
        low=run.low,
        high=run.high,
    )


def told(run: Candidate | Measured, score: Score) -> str:
    """Value and interval in words."""
    unit = " %" if score.is_share else ""
    if run.low is None or run.high is None:
        return f"{score.shown(run.value)}{unit}"
    return f"{score.shown(run.value)} ({score.shown(run.low)} to {score.shown(run.high)}){unit}"


def _steps(members: Sequence[Candidate], word: str, end: float) -> list[tuple[float, float]]:
    """The best score to be had at each cost, to the end of the axis."""
    points = [(run.costs[word], run.value) for run in members]
    corners = [points[0]]
    for cost, value in points[1:]:
        corners += [(cost, corners[-1][1]), (cost, value)]
    return [*corners, (end, corners[-1][1])]


def _note(compared: Compared, score: Score) -> str:
    count = len(compared.members) + len(compared.dominated)
    words = f"{_runs(count)}, {len(compared.members)} on the frontier; others grey"
    if not score.higher_is_better:
        words += "; lower is better"
    if any(run.low is not None for run in compared.members):
        words += f"; bars: {100 * score.confidence:g} % intervals"
    return words


def _runs(count: int) -> str:
    return f"{count} run" if count == 1 else f"{count} runs"


def _tick(value: float, score: Score) -> str:
    return f"{100 * value:.3g}" if score.is_share else f"{value:.3g}"
