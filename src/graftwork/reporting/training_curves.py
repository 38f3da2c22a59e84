"""Loss, accuracy and learning rates over the epochs, as SVG."""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from graftwork.reporting.drawing import Scale, render, ticks


@dataclass(frozen=True)
class Line:
    """One curve."""

    name: str
    colour: str  # a class of colours.css.jinja
    points: list[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """One small diagram of the training curves."""

    title: str
    lines: list[Line]
    x: Scale
    y: Scale
    x_ticks: list[float]
    y_ticks: list[float]
    percent: bool = False


def read_history(path: Path) -> dict[str, list[float]]:
    """The columns of the training curves; a missing file or cell is none, or not a number."""
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {key: [_float(row[key]) for row in rows] for key in rows[0]} if rows else {}


def _float(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


PANELS = (  # title, columns (or their common beginning), their names and colours in the picture
    (
        "Loss (nats)",
        (
            ("train/loss", "train", "one"),
            ("val/loss", "validation", "two"),
            ("test/loss", "test", "three"),
        ),
    ),
    (
        "Accuracy",
        (
            ("train/top1", "train", "one"),
            ("val/top1", "validation", "two"),
            ("test/top1", "test", "three"),
        ),
    ),
    ("Learning rate", (("lr", "", "one"),)),
)


def curves(history: Mapping[str, list[float]]) -> Markup | None:
    """Loss, accuracy and learning rates over the epochs; None where nothing was trained."""
    panels: list[Panel] = []
    for title, columns in PANELS:
        lines = [line for column in columns for line in _lines(history, *column)]
        if lines:
            panels.append(_panel(title, lines, left=56.0 + 350 * len(panels)))
    return render("curves.svg.jinja", panels=panels) if panels else None


def _lines(history: Mapping[str, list[float]], prefix: str, name: str, colour: str) -> list[Line]:
    lines = []
    for key in (key for key in history if key == prefix or key.startswith(f"{prefix}/")):
        pairs = zip(history["epoch"], history[key], strict=True)
        points = [(x, y) for x, y in pairs if math.isfinite(x) and math.isfinite(y)]
        if points:
            lines.append(Line(name or key.removeprefix(prefix).strip("/"), colour, points))
    if len(lines) > 1:  # rates of many layer groups: the slowest and the fastest tell the story
        lines.sort(key=lambda line: max(y for _, y in line.points))
        return [
            dataclasses.replace(lines[-1], colour="one"),
            dataclasses.replace(lines[0], colour="two"),
        ]
    return lines


def _panel(title: str, lines: list[Line], left: float) -> Panel:
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    share = title == "Accuracy"
    low, high = (min(ys), max(ys)) if share else (0.0, max(ys))
    room = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    low, high = (max(0, low - room), min(1, high + room)) if share else (low, high + room)
    first, last = (min(xs), max(xs)) if min(xs) < max(xs) else (xs[0] - 1, xs[0] + 1)
    return Panel(
        title,
        lines,
        Scale(first, last, left, left + 270),
        Scale(low, high, 250, 64),
        [tick for tick in ticks(first, last, 6) if tick == int(tick)],
        ticks(low, high, 5),
        share,
    )
