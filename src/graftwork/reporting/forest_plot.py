"""Differences with their intervals, one below the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from graftwork.metrics.paired import LEVEL, Estimate
from graftwork.reporting.charts import (
    colour,
    field,
    heading,
    layer,
    nominal,
    panel,
    told,
    vega_lite,
)


@dataclass(frozen=True)
class Row:
    """One difference, a share."""

    name: str
    estimate: Estimate
    p: float  # adjusted for all rows


def forest(rows: Sequence[Row], title: str, confidence: float) -> Markup:
    """Points with intervals around a line at zero; hollow where chance explains the difference."""
    values = [
        {
            "name": row.name,
            "value": 100 * row.estimate.value,
            "low": 100 * row.estimate.low,
            "high": 100 * row.estimate.high,
            "look": "paper" if row.p >= LEVEL else "one",
            "about": f"{row.name}: {100 * row.estimate.value:+.1f} points "
            f"({100 * row.estimate.low:+.1f} to {100 * row.estimate.high:+.1f}), p {row.p:.3f}",
        }
        for row in rows
    ]
    note = (
        f"Points of test top-1, with {100 * confidence:g} % intervals over pictures and seeds; "
        "hollow: chance explains it (Holm)."
    )
    looks = {"domain": ["one", "paper"], "range": [colour("one"), colour("paper")]}
    fill = nominal("look", legend=None, scale=looks)
    layers = [
        layer("rule", {"color": colour("muted"), "strokeDash": [4, 3]}, x={"datum": 0}, y=None),
        layer("errorbar", {"color": colour("one")}, x=field("low"), x2={"field": "high"}),
        told("point", {"size": 60, "filled": True, "opacity": 1, "stroke": colour("one")},
             x=field("value", axis={"grid": True, "tickCount": 6}, scale=_scale(rows)), fill=fill),
    ]  # fmt: skip
    names = {"domain": [row.name for row in rows]}
    order = nominal("name", scale=names, axis={"labelLimit": 320})
    drawn = panel(values, (460, {"step": 22}), layers, y=order)
    return vega_lite({"title": heading(title, note), **drawn}, title)


def _scale(rows: Sequence[Row]) -> dict[str, object]:
    """Of points; around differences that are all nothing there is a point on either side."""
    ends = [100 * end for row in rows for end in (row.estimate.low, row.estimate.high)]
    return {"domain": [min(-1.0, *ends), max(1.0, *ends)], "nice": True}
