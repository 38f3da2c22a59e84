"""Loss, accuracy and learning rates over the epochs."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from graftwork.reporting.charts import (
    SERIES,
    Spec,
    colour,
    field,
    heading,
    layer,
    nominal,
    panel,
    ticked,
    told,
    vega_lite,
)
from graftwork.reporting.numbers import number, percent

FEW = 40  # epochs up to which their points are large


@dataclass(frozen=True)
class Line:
    """One curve."""

    name: str
    points: list[tuple[float, float]]  # epoch and value


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


PANELS = (  # title, columns (or their common beginning) with their names in the picture
    (
        "Loss (nats)",
        (("train/loss", "train"), ("val/loss", "validation"), ("test/loss", "test")),
    ),
    ("Accuracy", (("train/top1", "train"), ("val/top1", "validation"), ("test/top1", "test"))),
    ("Learning rate", (("lr", ""),)),
)


def curves(history: Mapping[str, list[float]]) -> Markup | None:
    """Loss, accuracy and learning rates over the epochs; None where nothing was trained."""
    panels = [
        _panel(title, lines)
        for title, columns in PANELS
        if (lines := [line for column in columns for line in _lines(history, *column)])
    ]
    if not panels:
        return None
    row = {"hconcat": panels, "bounds": "flush", "spacing": 84}
    row |= {"resolve": {"scale": {"color": "independent", "x": "shared"}}}
    return vega_lite({"title": heading("Training"), **row}, "Training curves")


def _lines(history: Mapping[str, list[float]], prefix: str, name: str) -> list[Line]:
    lines = []
    for key in (key for key in history if key == prefix or key.startswith(f"{prefix}/")):
        pairs = zip(history["epoch"], history[key], strict=True)
        points = [(x, y) for x, y in pairs if math.isfinite(x) and math.isfinite(y)]
        if points:
            lines.append(Line(name or key.removeprefix(prefix).strip("/"), points))
    if len(lines) > 1:  # rates of many layer groups: the slowest and the fastest tell the story
        lines.sort(key=lambda line: max(y for _, y in line.points))
        return [lines[-1], lines[0]]
    return lines


def _panel(title: str, lines: list[Line]) -> Spec:
    share = title == "Accuracy"
    shown = percent if share else "{:.4g}".format
    rows = [
        {"epoch": x, "value": y, "line": line.name}
        | {"about": f"epoch {number(x)}: {line.name} {shown(y)}"}
        for line in lines
        for x, y in line.points
    ]
    names = [line.name for line in lines]
    scale = {"domain": names, "range": [colour(one) for one in SERIES[: len(names)]]}
    legend = {"orient": "top", "offset": 0} if any(names) else None
    epochs = {"tickMinStep": 1, "format": "d", "tickCount": 6}
    size = 30 if max(len(line.points) for line in lines) <= FEW else 6
    return panel(
        rows,
        (270, 186),
        [layer("line"), told("circle", {"size": size, "opacity": 1})],
        title,
        x=field("epoch", title="epoch", axis=epochs, scale={"zero": False, "nice": False}),
        y=field("value", axis=ticked(share, tickCount=5), scale={"zero": not share}),
        color=nominal("line", scale=scale, legend=legend),
    )
