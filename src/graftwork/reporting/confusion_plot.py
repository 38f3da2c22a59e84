"""The confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from graftwork.reporting.charts import (
    Rows,
    Spec,
    colour,
    field,
    heading,
    layer,
    nominal,
    told,
    vega_lite,
)
from graftwork.reporting.numbers import percent
from graftwork.reporting.per_class import confusion_counts

SHOWN = 40  # classes that a picture can show legibly
RIGHT, WRONG = "right", "wrong"
OTHER = "other classes"


def confusion(names: list[str], labels: np.ndarray, predicted: np.ndarray, split: str) -> Markup:
    """Counts, coloured by the share of the actual class.

    With more than SHOWN classes, the ones that are confused most; what they were taken for
    outside of these stands in a last column.
    """
    counts = confusion_counts(labels, predicted, len(names))
    chosen = _most_confused(counts)
    table = counts[np.ix_(chosen, chosen)]
    rows = [names[index] for index in chosen]
    columns = list(rows)
    if len(chosen) < len(names):
        table = np.column_stack([table, counts[chosen].sum(axis=1) - table.sum(axis=1)])
        columns.append(OTHER)
    note = f"{split.capitalize()} pictures by class (rows) and prediction (columns)"
    if len(chosen) < len(names):
        note += f": the {len(rows)} most confused of {len(names)} classes"
    totals = counts[chosen].sum(axis=1).tolist()
    spec = {
        "title": heading("Confusion matrix", note),
        **_matrix(rows, columns, _cells(table, rows, columns, totals), totals),
    }
    return vega_lite(spec, "Confusion matrix")


def _most_confused(counts: np.ndarray) -> np.ndarray:
    """The classes to show, in class order: all, or those with the most wrong pictures."""
    occurring = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    if len(occurring) <= SHOWN:
        return occurring
    wrong = counts.sum(axis=0) + counts.sum(axis=1) - 2 * np.diagonal(counts)
    present = np.flatnonzero(counts.sum(axis=1))
    return np.sort(present[np.argsort(-wrong[present], kind="stable")][:SHOWN])


def _cells(
    table: np.ndarray, rows: Sequence[str], columns: Sequence[str], totals: Sequence[int]
) -> Rows:
    """One for each pair of classes that occurs."""
    found = []
    for row, column in zip(*map(np.ndarray.tolist, np.nonzero(table)), strict=True):
        count, total = int(table[row, column]), totals[row]
        about = f"{rows[row]}, taken for {columns[column]}: {count} of {total}"
        found.append(
            {"row": rows[row], "column": columns[column], "count": count, "share": count / total}
            | {"verdict": RIGHT if row == column else WRONG}
            | {"about": f"{about} ({percent(count / total)})"}
        )
    return found


def _matrix(rows: list[str], columns: list[str], cells: Rows, totals: list[int]) -> Spec:
    side = 40 if len(rows) <= 12 else 34 if len(rows) <= 20 else 22
    top = {"orient": "top", "labelAngle": -45, "domain": False, "ticks": False}
    colours = {"domain": [RIGHT, WRONG], "range": [colour("one"), colour("bad")]}
    shares = {"domain": [0, 1], "range": [0.1, 1]}
    samples = {"symbolFillColor": colour("muted"), "values": [0, 0.5, 1]}
    samples |= {"labelExpr": "100 * datum.value + ' % of the class'"}
    legend = {"orient": "bottom", "symbolType": "square"}
    squares = told(
        "rect",
        {"stroke": colour("paper"), "strokeWidth": 2, "cornerRadius": 3},
        color=nominal("verdict", scale=colours, legend=legend),
        opacity=field("share", scale=shares, legend={**legend, **samples}),
    )
    on = {"condition": {"test": "datum.share > 0.5", "value": colour("on")}}
    numbers = layer(
        "text",
        {"fontSize": 12 if side > 30 else 9},
        text=field("count"),
        color={**on, "value": colour("ink")},
    )
    beside = {"align": "left", "color": colour("muted"), "x": {"expr": "width + 8"}}
    sums = [{"row": row, "n": total} for row, total in zip(rows, totals, strict=True)]
    x = nominal("column", scale={"domain": columns}, axis=top)
    return {
        **{"width": {"step": side}, "height": {"step": side}, "view": {"fill": colour("panel")}},
        "encoding": {"y": nominal("row", scale={"domain": rows})},
        "layer": [
            {"data": {"values": cells}, "encoding": {"x": x}, "layer": [squares, numbers]},
            {"data": {"values": sums}, **layer("text", beside, text=field("n"))},
            {"data": {"values": [{}]}, **layer("text", {**beside, "text": "n"}, y={"value": -10})},
        ],
    }
