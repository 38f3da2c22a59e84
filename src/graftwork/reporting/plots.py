"""The pictures of an evaluation's scores, of all pictures and by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from graftwork.metrics.base import Metric
from graftwork.reporting.charts import (
    SHARES,
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
from graftwork.reporting.confusion_plot import SHOWN
from graftwork.reporting.numbers import percent
from graftwork.reporting.per_class import ClassScore
from graftwork.storage import csv_tables

TEST, HELD_OUT = "test", "held-out"  # pictures that are drawn, in words


def class_bars(scores: Sequence[ClassScore], split: str = TEST) -> Markup:
    """Recall with its interval and F1 of each class, the weakest first."""
    known = [score for score in scores if score.recall is not None]
    known.sort(key=lambda score: (score.recall, score.f1))
    shown, hidden = known[:SHOWN], len(known) - len(known[:SHOWN])
    note = "Recall (bar, with its 95 % interval by Wilson) and F1 (diamond)"
    if hidden:
        note = f"The {len(shown)} weakest; {hidden} more in per_class.csv. {note}"
    order = {"domain": [score.name for score in shown]}
    bars = panel(
        [_class_row(score) for score in shown],
        (440, {"step": 24}),
        _class_layers(f"of the class’s {split} pictures recognised"),
        y=nominal("class", scale=order),
    )
    spec = {"title": heading("Classes, the weakest first", note), **bars}
    return vega_lite(spec, "Recall and F1 of each class")


def _class_row(score: ClassScore) -> dict[str, Any]:
    recall, low, high, f1 = (
        float(value or 0) for value in (score.recall, score.low, score.high, score.f1)
    )
    about = f"{score.name}: recall {percent(recall)} ({percent(low)} to {percent(high)}), "
    about += f"F1 {percent(f1)}, {score.n} pictures"
    row = {"class": score.name, "recall": recall, "low": low, "high": high, "f1": f1}
    return {**row, "n": f"n = {score.n}", "about": about}


def _class_layers(title: str) -> list[Spec]:
    """Bar, whisker, diamond, and how many pictures there are."""
    axis = ticked(True, grid=True, tickCount=5)
    diamond = {"shape": "diamond", "size": 110, "filled": True, "opacity": 1}
    diamond |= {"color": colour("two"), "stroke": colour("paper")}
    whisker = {"color": colour("ink"), "ticks": {"size": 7}}
    n = {"align": "left", "color": colour("muted"), "x": {"expr": "width + 10"}}
    return [
        told(
            "bar",
            {"height": 14, "color": colour("one"), "opacity": 0.75},
            x=field("recall", title=title, axis=axis, scale=SHARES),
        ),
        layer("errorbar", whisker, x=field("low", title=title), x2={"field": "high"}),
        layer("point", diamond, x=field("f1", title=title)),
        layer("text", n, text=nominal("n")),
    ]


def metric_intervals(
    scores: Mapping[str, Mapping[str, float]],
    metrics: Mapping[str, Metric],
    confidence: float,
    split: str = TEST,
) -> Markup:
    """Every metric with its interval: shares on one axis, others on an axis of their own."""
    shares = [name for name in scores if metrics[name].is_share]
    groups = [shares, *([name] for name in scores if name not in shares)]
    words = f"Value and {100 * confidence:g} % bootstrap interval (BCa) over the {split} pictures"
    spec = {
        "title": heading("Metrics", words),
        "vconcat": [
            _axis_of([(metrics[name], scores[name]) for name in group]) for group in groups if group
        ],
        "resolve": {"scale": {"x": "independent"}},
    }
    return vega_lite(spec, "Metrics with intervals")


def _axis_of(group: Sequence[tuple[Metric, Mapping[str, float]]]) -> Spec:
    """Metrics that share an axis."""
    share = group[0][0].is_share
    axis = ticked(share, grid=True, tickCount=6)
    scale = SHARES if share else {"zero": True}
    blue = {"color": colour("one")}
    bar = {**blue, "strokeWidth": 6, "opacity": 0.35, "strokeCap": "round"}
    words = {"align": "left", "fontSize": 12, "x": {"expr": "width + 16"}}
    names = {"minExtent": 150, "maxExtent": 150}  # px: axes stand below each other
    return panel(
        [_metric_row(metric, score) for metric, score in group],
        (450, {"step": 34}),
        [
            layer("rule", bar, x=field("low", axis=axis, scale=scale), x2={"field": "high"}),
            layer("circle", {**blue, "size": 80, "opacity": 1}, x=field("value")),
            layer("text", words, text=nominal("words")),
        ],
        y=nominal("metric", sort=None, axis=names),
    )


def _metric_row(metric: Metric, score: Mapping[str, float]) -> dict[str, Any]:
    value, low, high = (score[key] for key in ("value", "low", "high"))
    words = f"{value:.3f} ({low:.3f} – {high:.3f})"
    if metric.is_share:
        words = f"{percent(value)} ({100 * low:.1f} – {100 * high:.1f})"
    return {"metric": metric.label, "value": value, "low": low, "high": high, "words": words}


def write_tables(
    folder: Path,
    names: list[str],
    labels: np.ndarray,
    predicted: np.ndarray,
    scores: Sequence[ClassScore],
) -> None:
    """The CSV files that `dvc plots` draws: confusion.csv and per_class.csv."""
    pairs = zip(labels, predicted, strict=True)
    answers = [{"actual": names[a], "predicted": names[p]} for a, p in pairs]
    csv_tables.write(folder / "confusion.csv", ["actual", "predicted"], answers)
    columns = ["class", "n", "recall", "precision", "f1"]
    classes = [(s.name, s.n, s.recall, s.precision, s.f1) for s in scores]
    rows = [dict(zip(columns, values, strict=True)) for values in classes]
    csv_tables.write(folder / "per_class.csv", columns, rows)
