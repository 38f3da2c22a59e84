"""The page of `graftwork learning-curve`."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from graftwork.advising.learning_curve import Point
from graftwork.advising.power_law import Expected
from graftwork.reporting.charts import colour, field, heading, layer, panel, ticked, told, vega_lite
from graftwork.reporting.numbers import number, percent
from graftwork.reporting.pages import render


def page(title: str, points: Sequence[Point], expected: Expected, sentences: Sequence[str]) -> str:
    """One HTML file that needs nothing but itself."""
    return render(
        "learning_curve.html.jinja",
        title=title,
        sentences=sentences,
        picture=picture(points, expected, title),
    )


def picture(points: Sequence[Point], expected: Expected, title: str) -> Markup:
    """Error by number of labels, both logarithmic: a power law is straight there."""
    measured = [
        {
            "labels": point.labels,
            "error": max(1 - float(point.right.mean()), 1e-4),
            "about": f"{number(round(point.labels))} labels: "
            f"{percent(float(point.right.mean()))} recognised",
        }
        for point in points
    ]
    rows = zip(expected.labels, expected.error, expected.low, expected.high, strict=True)
    law = [
        {"labels": n, "error": max(e, 1e-4), "low": max(low, 1e-4), "high": max(high, 1e-4)}
        for n, e, low, high in ((float(a), float(b), float(c), float(d)) for a, b, c, d in rows)
    ]
    log = {"type": "log", "nice": False}
    over = field("labels", scale=log, axis={"title": "labels", "tickCount": 6})
    up = field("error", scale=log, axis=ticked(True))
    tone, drawn, below = {"color": colour("one")}, {"values": law}, field("low", scale=log)
    layers = [
        {**layer("area", {**tone, "opacity": 0.18}, y=below, y2={"field": "high"}), "data": drawn},
        {**layer("line", tone, y=up), "data": drawn},
        told("point", {**tone, "size": 36, "filled": True, "opacity": 0.8}, y=up),
    ]
    chart = panel(measured, (560, 320), layers, x=over)
    note = "Points: parts of the labels, each drawn anew. Line and 95 % band: a power law."
    return vega_lite(
        {"title": heading("Error on held-out pictures by number of labels", note), **chart}, title
    )
