"""A score and its interval, in words: shares in per cent, losses in nats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graftwork.metrics.base import Metric
from graftwork.reporting.numbers import THIN
from graftwork.selecting.expected import EXPECTED

Scores = Mapping[str, Mapping[str, float]]  # of one split, as in metrics.json


@dataclass(frozen=True)
class Told:
    """One score."""

    value: str
    interval: str  # empty where the score has none


@dataclass(frozen=True)
class Line:
    """One metric, told of several things beside one another; None where there is no score."""

    label: str
    told: Sequence[Told | None]


def lines(metrics: Mapping[str, Metric], beside: Sequence[Scores | None]) -> list[Line]:
    """A line for every metric that has a score somewhere, in the order of `metrics`.

    Args:
        metrics: by name; scores of other names are passed over, for the configuration may have
            changed since they were measured.
        beside: the scores of each column; None or empty where there are none.
    """
    found = []
    for name, metric in metrics.items():
        scores = [(column or {}).get(name) for column in beside]
        if any(scores):
            found.append(Line(metric.label, [told(metric, score) for score in scores]))
    return found


def told(metric: Metric, score: Mapping[str, float] | None, *, signed: bool = False) -> Told | None:
    """A score as people read it; with signs for a difference, of which shares are in points."""
    if not score:
        return None
    value = _number(metric, score["value"], signed)
    unit = f"{THIN}{'points' if signed else '%'}" if metric.is_share else ""
    if "low" not in score:
        return Told(value + unit, "")
    ends = (_number(metric, score[end], signed) for end in ("low", "high"))
    return Told(value + unit, " to ".join(ends) + unit)


def expected_words(scores: Scores) -> str:
    """What to expect of new pictures; empty where none were asked about.

    Args:
        scores: of the pictures that chose.
    """
    if not (found := scores.get(EXPECTED)):
        return ""
    share, low, high = (f"{100 * found[end]:.1f}" for end in ("value", "low", "high"))
    return (
        f"{share}{THIN}% of new pictures recognised ({low} to {high}), by how sure the model is of "
        f"{found['n']:g} of them"
    )


def _number(metric: Metric, value: float, signed: bool) -> str:
    sign = "+" if signed else ""
    return f"{100 * value:{sign}.1f}" if metric.is_share else f"{value:{sign}.3f}"
