"""The range test of learning rates as a picture, and on a page of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from graftwork.reporting.charts import (
    colour,
    field,
    heading,
    layer,
    panel,
    standalone,
    told,
    vega_lite,
)
from graftwork.reporting.numbers import number
from graftwork.reporting.pages import render

if TYPE_CHECKING:
    from graftwork.training.range_test import RangeTest

RULE = (
    "Proposed is a tenth of the rate at which the smoothed loss is smallest (Howard & Gugger 2020, "
    "after Smith 2017): there the loss still falls, with room before it rises."
)
OPEN = "The loss was smallest at the highest rate that was tried: higher ones may be better still."


def picture(found: RangeTest, key: str, value: float) -> Markup:
    """Loss over rate, and the rate that is proposed.

    Args:
        key: of the strategy, in proportion to which its rates are.
        value: what it is today.
    """
    rows = [
        {"rate": value * factor, "loss": loss, "smoothed": smoothed}
        | {"about": f"{key} {number(value * factor)}: loss {smoothed:.3g}, smoothed"}
        for factor, loss, smoothed in zip(found.factors, found.losses, found.smoothed, strict=True)
    ]
    top = 1.1 * max(max(found.smoothed[: found.smallest + 1]), 1.5 * min(found.smoothed))
    down = {"title": "loss (nats)", "scale": {"domain": [0, top], "clamp": True}}
    across = {"title": key, "scale": {"type": "log"}, "axis": {"format": ".0e", "tickCount": 6}}
    x = field("rate", **across)
    proposed = value * found.proposed
    chosen = {"data": {"values": [{"rate": proposed, "word": f"proposed: {number(proposed)}"}]}}
    dots, blue = {"size": 14, "opacity": 0.5, "color": colour("one")}, {"color": colour("one")}
    word = {"color": colour("two"), "align": "left", "dx": 6, "y": 10}
    spec = panel(
        rows,
        (560, 280),
        [
            layer("circle", dots, x=x, y=field("loss", **down)),
            layer("line", blue, x=x, y=field("smoothed", **down)),
            told("circle", {"size": 30, "opacity": 0}, x=x, y=field("smoothed", **down)),
            {**layer("rule", {"color": colour("two"), "strokeWidth": 2}, x=x), **chosen},
            {**layer("text", word, x=x, text={"field": "word"}), **chosen},
        ],
    )
    note = f"{len(found.factors)} steps, each at a higher rate; dots are single batches"
    whole = {"title": heading("Training loss while rates rise", note), **spec}
    return vega_lite(whole, "Training loss by learning rate")


def write(folder: Path, found: RangeTest, key: str, value: float, command: str) -> Path:
    """Writes lr_find.svg and lr_find.html; returns the page's place."""
    drawn = picture(found, key, value)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lr_find.svg").write_text(standalone(drawn), encoding="utf-8")
    page = folder / "lr_find.html"
    page.write_text(
        render(
            "lr_find.html.jinja", title=f"Which rate? {key}", picture=drawn, command=command,
            sentences=sentences(found, key, value),
        ),
        encoding="utf-8",
    )  # fmt: skip
    return page


def sentences(found: RangeTest, key: str, value: float) -> Sequence[str]:
    """What was found, and by which rule."""
    said = (
        f"{key} is {number(value)} today; proposed: {number(value * found.proposed)}. The loss was "
        f"smallest at {number(value * found.factors[found.smallest])}."
    )
    return [said, RULE, *([OPEN] if found.open_ended else [])]
