"""The pictures of how what is kept was chosen: who the held-out photos are, and how far to go."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from graftwork.reporting.drawing import Scale, number, percent, render, standalone, ticks, wrapped
from graftwork.reporting.training_curves import Line, Panel
from graftwork.selecting.record import Distances, SelectionRecord, WayPoint

CAPTION = 12.0  # px, font size of the words below a picture
CAPTION_WIDTH = 532.0  # px
CURVES = (  # field of Distances, its photos in words, colour
    ("new", "new photos", "one"),
    ("held_out", "held-out photos", "two"),
    ("random", "photos held out at random", "three"),
)
PANELS = (("Top-1 accuracy", "top1"), ("Log loss (nats)", "log_loss"))  # and fields of WayPoint
LEFT, PANEL_WIDTH, PANEL_STEP = 56.0, 204.0, 268.0  # px
TOP, FLOOR = 64.0, 264.0  # px


@dataclass(frozen=True)
class Mark:
    """The chosen point in a panel, and where its name stands."""

    x: float  # px
    y: float  # px
    text_y: float  # px, its baseline
    anchor: str  # a class of colours.css.jinja: "", mid or end


def distances(record: SelectionRecord, *, captioned: bool) -> Markup | None:
    """Cumulative curves of the distance to the nearest training photo; None without distances.

    Held-out photos can stand for new ones as far as their curves agree.

    Args:
        captioned: with the words below, for a picture that stands alone.
    """
    known = record.distances
    if known is None:
        return None
    drawn = [
        Line(name, colour, list(zip(getattr(known, field), known.percentiles, strict=True)))
        for field, name, colour in CURVES
        if getattr(known, field)
    ]
    if not drawn or not known.percentiles:
        return None
    ends = [x for line in drawn for x, _ in line.points]
    low, high = min(0.0, *ends), max(ends)
    high = high if high > low else low + 1.0
    return render(
        "distances.svg.jinja",
        curves=drawn,
        x=Scale(low, high, LEFT, 532),
        y=Scale(0, 100, 320, TOP),
        ticks=ticks(low, high, 6),
        caption=wrapped(caption(record), CAPTION_WIDTH, CAPTION) if captioned else [],
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
    panels = [
        _panel(title, field, points, LEFT + PANEL_STEP * index)
        for index, (title, field) in enumerate(PANELS)
    ]
    chosen = next((point for point in points if point.chosen), None)
    return render(
        "way.svg.jinja",
        panels=[(panel, _mark(panel)) for panel in panels],
        note=_way_note(chosen, record.held_out),
        middle=(LEFT + LEFT + PANEL_STEP + PANEL_WIDTH) / 2,
    )


def _way_note(chosen: WayPoint | None, held_out: int) -> str:
    on = f"on {number(held_out)} held-out pictures"
    if chosen is None:
        return f"Between the first weights and the trained ones, {on}"
    return f"Chosen: {percent(chosen.share, 0)} of the way, {percent(chosen.top1)} top-1 {on}"


def _panel(title: str, field: str, points: Sequence[WayPoint], left: float) -> Panel:
    """Lines: all points, and the chosen ones."""
    share = field == "top1"
    pairs = [(point.share, float(getattr(point, field))) for point in points]
    kept = [pair for pair, point in zip(pairs, points, strict=True) if point.chosen]
    ys = [y for _, y in pairs]
    room = (max(ys) - min(ys)) * 0.2 or 0.02
    low, high = max(0.0, min(ys) - room), max(ys) + room
    high = min(1.0, high) if share else high
    return Panel(
        title,
        [Line("", "one", pairs), Line("chosen", "two", kept)],
        Scale(0, 1, left, left + PANEL_WIDTH),
        Scale(low, high if high > low else low + 1, FLOOR, TOP),
        [0, 0.25, 0.5, 0.75, 1],
        ticks(low, high, 5),
        share,
    )


def _mark(panel: Panel) -> Mark | None:
    kept = panel.lines[1].points
    if not kept:
        return None
    share, value = kept[0]
    x, y = panel.x(share), panel.y(value)
    anchor = "" if share < 0.2 else "end" if share > 0.8 else "mid"
    return Mark(x, y, y - 13 if panel.percent else y + 21, anchor)  # on the better side


def write(folder: Path, record: SelectionRecord) -> None:
    """The pictures with their words as SVG, and their numbers as CSV, which `dvc plots` draws."""
    for name, picture in (("distances", distances(record, captioned=True)), ("way", way(record))):
        if picture:
            (folder / f"{name}.svg").write_text(standalone(picture), encoding="utf-8")
    if known := record.distances:
        fields = [field for field, _, _ in CURVES if getattr(known, field)]
        columns = [known.percentiles, *(getattr(known, field) for field in fields)]
        rows = zip(*columns, strict=True)
        _write_rows(folder / "distances.csv", [("percentile", *fields), *rows])
    if record.shares:
        values = [(p.share, p.top1, p.log_loss, p.chosen) for p in record.shares]
        _write_rows(folder / "way.csv", [("share", "top1", "log_loss", "chosen"), *values])


def _write_rows(path: Path, rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
