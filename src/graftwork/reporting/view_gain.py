"""What several views of a test picture gain, beside what they cost, in words and as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graftwork.metrics.base import Metric
from graftwork.reporting.numbers import duration, number
from graftwork.reporting.score_words import Line, Scores, lines, told

MIRRORED = {"left_right": "left and right", "upside_down": "upside down"}


@dataclass(frozen=True)
class ViewGain:
    """What the report shows of them."""

    words: str  # what was averaged and what it took
    lines: Sequence[Line]  # told: by one view, by all, their paired difference
    count: int


def view_gain(
    views: Mapping[str, Any] | None, scores: Scores, metrics: Mapping[str, Metric]
) -> ViewGain | None:
    """The report's table; None where there was one view.

    Args:
        views: as metrics.json has it (graftwork.evaluating.several_views).
        scores: on test, by all views.
        metrics: of the scores' names.
    """
    if not views:
        return None
    found = [
        Line(line.label, [*line.told, told(metrics[name], views["gain"].get(name), signed=True)])
        for name, line in zip(
            [name for name in metrics if scores.get(name) or views["one"].get(name)],
            lines(metrics, [views["one"], scores]),
            strict=True,
        )
    ]
    return ViewGain(_words(views), found, views["count"])


def _words(views: Mapping[str, Any]) -> str:
    mirrors = " and ".join(MIRRORED[way] for way in views["mirrors"])
    seconds, speed = views["seconds"], views["images_per_second"]
    return (
        f"The {views['space']}, {views['count']} of each test picture, "
        f"{f'some mirrored {mirrors}' if mirrors else 'none mirrored'}: {duration(seconds['all'])} "
        f"({number(speed['all'])} pictures/s) instead of {duration(seconds['one'])} "
        f"({number(speed['one'])} pictures/s). Their number is a setting (evaluation.views): "
        f"nothing chose it, and {views['selection']}. The model folder predicts by one view."
    )


def sentence(views: Mapping[str, Any], metrics: Mapping[str, Metric]) -> str:
    """The terminal's line: the headline's gain and the cost."""
    seconds = views["seconds"]
    took = f"{duration(seconds['all'])} instead of {duration(seconds['one'])}"
    name = next((name for name in metrics if name in views["gain"]), None)
    gain = told(metrics[name], views["gain"][name], signed=True) if name else None
    if name is None or gain is None:
        return f"{views['count']} of each test picture: {took}"
    return (
        f"{views['count']} of each test picture: {metrics[name].label} {gain.value} "
        f"({gain.interval}) against one, {took}; {views['selection']}"
    )
