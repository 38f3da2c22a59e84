"""The pictures of how what is kept was chosen: who the held-out photos are, and how far to go."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

from markupsafe import Markup

from graftwork.reporting.charts import (
    SHARES,
    Rows,
    Spec,
    colour,
    field,
    heading,
    layer,
    nominal,
    panel,
    standalone,
    ticked,
    told,
    vega_lite,
)
from graftwork.reporting.numbers import number, percent
from graftwork.selecting.record import Distances, SelectionRecord, WayPoint
from graftwork.storage import csv_tables

CAPTION_WIDTH = 84  # characters
QUARTERS = [0, 0.25, 0.5, 0.75, 1]
CURVES = (  # field of Distances, its photos in words, colour
    ("new", "new photos", "one"),
    ("held_out", "held-out photos", "two"),
    ("random", "photos held out at random", "three"),
)
PANELS = (("Top-1 accuracy", "top1"), ("Log loss (nats)", "log_loss"))  # and fields of WayPoint


def distances(record: SelectionRecord, *, captioned: bool) -> Markup | None:
    """Cumulative curves of the distance to the nearest training photo; None without distances.

    Held-out photos can stand for new ones as far as their curves agree.

    Args:
        captioned: with what they say, for a picture that stands alone.
    """
    known = record.distances
    if known is None or not known.percentiles:
        return None
    drawn = [(name, tone, getattr(known, key)) for key, name, tone in CURVES if getattr(known, key)]
    if not drawn:
        return None
    rows = [
        {"distance": x, "nearer": y / 100, "photos": name}
        | {"about": f"{name}: {number(y)} % within {number(x)}"}
        for name, _, values in drawn
        for x, y in zip(values, known.percentiles, strict=True)
    ]
    words = textwrap.wrap(caption(record), CAPTION_WIDTH) if captioned else ""
    curves = _cumulative(rows, {name: colour(tone) for name, tone, _ in drawn})
    spec = {"title": heading("Distance to the nearest training photo", words), **curves}
    return vega_lite(spec, "How far photos are from the nearest training photo")


def _cumulative(rows: Rows, colours: dict[str, str]) -> Spec:
    """A line for each kind of photos; dashed is what nobody should choose by."""
    random = {"test": f"datum.photos == '{CURVES[-1][1]}'", "value": [6, 4]}
    dash = {"condition": random, "value": [1, 0]}
    scale = {"domain": list(colours), "range": list(colours.values())}
    nearer = {"title": "photos that are nearer", "axis": ticked(True, values=QUARTERS)}
    return panel(
        rows,
        (470, 256),
        [layer("line", strokeDash=dash), told("circle", {"size": 20, "opacity": 1})],
        x=field("distance", title="cosine distance of features", axis=ticked(False, tickCount=6)),
        y=field("nearer", **nearer),
        color=nominal("photos", scale=scale, legend={"orient": "top", "offset": 4}),
        # A percentile at a time: equal distances must not be sorted into a zigzag.
        order=field("nearer"),
    )


def caption(record: SelectionRecord) -> str:
    """What the distances say: the method, why, the medians, and what random folds would hide."""
    parts = [f"Method: {record.method}.", sentence(record.why)]
    if record.distances:
        parts.append(_medians(record.distances))
    parts.append(optimism(record))
    return " ".join(part for part in parts if part)


def optimism(record: SelectionRecord) -> str:
    """How much better random folds would have made the probe look; empty where not known."""
    if record.optimism is None:
        return ""
    fancied, found = record.optimism.random_top1, record.optimism.top1
    gap = 100 * (fancied - found)
    words = f"Cross-validated on random folds, the probe would seem to reach {percent(fancied)} "
    words += f"top-1, against {percent(found)} on the chosen ones: "
    if gap < 0.05:
        return words + "here random folds are not optimistic."
    return words + f"{gap:.1f} points too optimistic."


def sentence(words: str) -> str:
    """With a capital and a full stop; empty stays empty."""
    words = words.strip()
    if not words:
        return ""
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "!", "?")) else ".")


def _medians(known: Distances) -> str:
    found = [
        f"{number(values[known.percentiles.index(50)])} for {name}"
        for field, name, _ in CURVES
        if 50 in known.percentiles and (values := getattr(known, field))
    ]
    return f"Median distance: {', '.join(found)}." if found else ""


def way(record: SelectionRecord) -> Markup | None:
    """Held-out top-1 and log loss between the first weights and the trained ones; None without."""
    if not record.shares:
        return None
    points = sorted(record.shares, key=lambda point: point.share)
    chosen = next((point for point in points if point.chosen), None)
    spec = {
        "title": heading("How far to go", _way_note(chosen, record.held_out)),
        "hconcat": [_panel(title, key, points) for title, key in PANELS],
        "bounds": "flush",
        "spacing": 66,
    }
    return vega_lite(spec, "Held-out scores between the first weights and the trained ones")


def _way_note(chosen: WayPoint | None, held_out: int) -> str:
    on = f"on {number(held_out)} held-out pictures"
    if chosen is None:
        return f"Between the first weights and the trained ones, {on}"
    return f"Chosen: {percent(chosen.share, 0)} of the way, {percent(chosen.top1)} top-1 {on}"


def _panel(title: str, key: str, points: Sequence[WayPoint]) -> Spec:
    """All points, and a ring around the chosen one."""
    share = key == "top1"
    shown = percent if share else "{:.4g}".format
    rows = [
        {"share": point.share, "value": (value := float(getattr(point, key)))}
        | {"chosen": point.chosen}
        | {"about": f"{percent(point.share, 0)} of the way: {title} {shown(value)}"}
        for point in points
    ]
    ring = {"size": 190, "strokeWidth": 2, "color": colour("two")}
    name = {"text": "chosen", "dy": -14 if share else 18, "color": colour("two")}  # better side
    kept = {"transform": [{"filter": "datum.chosen"}]}
    blue = {"color": colour("one")}
    way = ticked(True, values=[0, 0.5, 1])
    return panel(
        rows,
        (200, 200),
        [
            layer("line", blue),
            told("circle", {"size": 34, "opacity": 1, **blue}),
            {**layer("point", ring), **kept},
            {**layer("text", name), **kept},
        ],
        title,
        x=field("share", title="way from first to trained weights", axis=way, scale=SHARES),
        y=field("value", axis=ticked(share, tickCount=5), scale={"zero": False, "padding": 24}),
    )


def write(folder: Path, record: SelectionRecord) -> None:
    """The pictures with their words as SVG, and their numbers as CSV, which `dvc plots` draws."""
    for name, picture in (("distances", distances(record, captioned=True)), ("way", way(record))):
        if picture:
            (folder / f"{name}.svg").write_text(standalone(picture), encoding="utf-8")
    if known := record.distances:
        fields = [field for field, _, _ in CURVES if getattr(known, field)]
        columns = [known.percentiles, *(getattr(known, field) for field in fields)]
        _write_rows(folder / "distances.csv", ("percentile", *fields), zip(*columns, strict=True))
    if record.shares:
        values = [(p.share, p.top1, p.log_loss, p.chosen) for p in record.shares]
        _write_rows(folder / "way.csv", ("share", "top1", "log_loss", "chosen"), values)


def _write_rows(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    csv_tables.write(path, columns, [dict(zip(columns, row, strict=True)) for row in rows])
