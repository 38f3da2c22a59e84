"""Named points between two axes: what pictures of cost have in common.

Drawn by Vega itself, which finds places for the names (Vega-Lite cannot): beside their points, on
nothing else. A name for which there is no such place is left out; the pointer still finds it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from graftwork.reporting.charts import Spec, colour, heading, vega

WIDTH, HEIGHT = 470, 290  # px, between the axes
NAME_WIDTH = 220  # px that a name may take
LOG_FROM = 4.0  # largest over smallest value from which ratios are drawn, not differences
OFFSETS = (2, 9, 16, 24)  # px, between a point and its name
PLACES = ("top-left", "left", "top", "bottom-right", "right", "bottom", "top-right", "bottom-left")


@dataclass(frozen=True)
class Dot:
    """One point, in the units of the axes."""

    x: float
    y: float
    name: str
    about: str  # in words, under the pointer
    colour: str = "one"  # of colours.css.jinja; dim: grey and small
    named: bool = True  # in the picture, too
    hollow: bool = False  # a point that is less sure
    low: float | None = None  # interval of y
    high: float | None = None


@dataclass(frozen=True)
class Ruler:
    """One axis."""

    label: str
    format: str  # of its ticks, as d3-format writes it
    ratios: bool = True  # where values differ by much

    def scale(self, name: str, values: Sequence[float]) -> Spec:
        """Over all values, with some room."""
        low, high = min(values), max(values)
        whole = {"name": name, "domain": [low, high], "range": EXTENT[name], "padding": 14}
        if self.ratios and low > 0 and high / low > LOG_FROM:
            return {**whole, "type": "log"}
        return {**whole, "type": "linear", "zero": False}

    def axis(self, name: str) -> Spec:
        """Few ticks, at round numbers."""
        orient = "bottom" if name == "x" else "left"
        ticks = {"tickCount": 5, "format": self.format, "labelOverlap": "greedy"}
        return {"scale": name, "orient": orient, "title": self.label, "grid": name == "y", **ticks}


EXTENT = {"x": "width", "y": "height"}
Corners = Sequence[tuple[float, float]]


def scatter(
    dots: Sequence[Dot],
    x: Ruler,
    y: Ruler,
    *,
    title: str,
    note: str,
    steps: Corners = (),
    dashed: Corners = (),
    legend: Mapping[str, str] | None = None,
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> Markup:
    """The picture.

    Args:
        dots: drawn in this order, the last ones on top.
        steps: points of a line that keeps its y until the next one, and to the end of the axis.
        dashed: corners of a line that is a reference.
        legend: words by colour.
        size: px, width and height between the axes.
    """
    ends = [end for dot in dots for end in (dot.y, dot.low, dot.high) if end is not None]
    spec: Spec = {
        "width": size[0],
        "height": size[1],
        "title": heading(title, note),
        "data": [
            {"name": "dots", "values": [_row(dot) for dot in dots]},
            {"name": "steps", "values": _steps(steps)},
            {"name": "dashed", "values": [{"x": a, "y": b} for a, b in dashed]},
        ],
        "scales": [
            x.scale("x", [dot.x for dot in dots]),
            y.scale("y", ends),
            {
                "name": "legend",
                "type": "ordinal",
                "domain": list((legend or {}).values()),
                "range": [colour(tone) for tone in legend or {}],
            },
        ],
        "axes": [x.axis("x"), y.axis("y")],
        "legends": [{"fill": "legend", "orient": "top", "direction": "horizontal"}]
        if legend
        else [],
        "marks": _marks(*size),
    }
    return vega(spec, title)


def _row(dot: Dot) -> dict[str, Any]:
    dim = dot.colour == "dim"
    return {
        **{"x": dot.x, "y": dot.y, "low": dot.low, "high": dot.high, "about": dot.about},
        "name": dot.name if dot.named else "",
        "colour": colour("muted" if dim else dot.colour),
        "area": 38 if dim else 64,  # px²
        "fill": colour("paper" if dot.hollow else "muted" if dim else dot.colour),
    }


def _steps(corners: Corners) -> list[dict[str, float | None]]:
    """With a last one where the axis ends, wherever that is."""
    found: list[dict[str, float | None]] = [{"x": x, "y": y} for x, y in corners]
    return [*found, *({"x": None, "y": y} for _, y in corners[-1:])]


def _at(column: str, scale: str) -> Spec:
    return {"scale": scale, "field": column}


def _marks(width: int, height: int) -> list[Spec]:
    """Lines below, then intervals, points, and names where nothing else is."""
    place = {"x": _at("x", "x"), "y": _at("y", "y")}
    one = {"stroke": {"value": colour("one")}, "strokeOpacity": {"value": 0.55}}
    grey = {"stroke": {"value": colour("muted")}, "strokeDash": {"value": [4, 4]}}
    onward = [{"test": "datum.x === null", "signal": "width"}, _at("x", "x")]
    frontier = {**place, **one, "x": onward, "interpolate": {"value": "step-after"}}
    known = "isValid(datum.low) && isValid(datum.high)"
    interval = {
        **{"x": _at("x", "x"), "y": _at("low", "y"), "y2": _at("high", "y")},
        "stroke": {"field": "colour"},
        "strokeOpacity": [{"test": known, "value": 0.5}, {"value": 0}],
    }
    point = {
        **{**place, "size": {"field": "area"}, "fill": {"field": "fill"}},
        "stroke": {"field": "colour"},
        "description": {"field": "about"},
    }
    name = {
        "text": {"field": "datum.name"},
        "fill": {"value": colour("ink")},
        "limit": {"value": NAME_WIDTH},
    }
    labels = {
        "type": "label",
        "size": [width, height],
        # Every place close by before the next one farther away.
        "anchor": list(PLACES) * len(OFFSETS),
        "offset": [offset for offset in OFFSETS for _ in PLACES],
    }
    return [
        _mark("line", "dashed", {**place, **grey}, "reference"),
        _mark("line", "steps", frontier, "frontier"),
        _mark("rule", "dots", interval, "intervals"),
        {**_mark("symbol", "dots", point, "points"), "aria": True},
        {**_mark("text", "points", name, "names"), "transform": [labels]},
    ]


def _mark(kind: str, data: str, look: Spec, name: str) -> Spec:
    return {"type": kind, "name": name, "from": {"data": data}, "encode": {"enter": look}}
