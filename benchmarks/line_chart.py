"""Top-1 over something else, a line a series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from markupsafe import Markup

from graftwork.reporting.charts import (
    SERIES,
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


@dataclass(frozen=True)
class Spot:
    """One measurement."""

    series: str
    at: float
    top1: float


def lines(
    spots: Sequence[Spot], axis: str, title: str, note: str, *, by_ratio: bool = False
) -> Markup:
    """The chart; series beyond the number of colours are dashed.

    Args:
        axis: what `at` is.
        by_ratio: logarithmic.
    """
    names = list(dict.fromkeys(spot.series for spot in spots))
    values = [
        asdict(spot) | {"about": f"{spot.series}, {spot.at:g}: {100 * spot.top1:.1f} %"}
        for spot in spots
    ]
    hues = [colour(SERIES[place % len(SERIES)]) for place in range(len(names))]
    dashes = [[1, 0] if place < len(SERIES) else [4, 2] for place in range(len(names))]
    marks = [
        layer(
            "line",
            {"strokeWidth": 2},
            strokeDash=nominal("series", scale={"domain": names, "range": dashes}),
        ),
        told("point", {"filled": True, "size": 40, "opacity": 1}),
    ]
    drawn = panel(
        values,
        (560, 340),
        marks,
        x=field("at", title=axis, scale={"type": "log"} if by_ratio else {}),
        y=field("top1", title="test top-1", axis=ticked(True), scale={"zero": False}),
        color=nominal("series", scale={"domain": names, "range": hues}),
    )
    return vega_lite({"title": heading(title, note), **drawn}, title)
