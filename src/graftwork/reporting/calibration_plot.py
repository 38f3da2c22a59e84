"""The reliability diagram."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup

from graftwork.metrics.calibration import bin_of
from graftwork.reporting.charts import (
    SHARES,
    Spec,
    colour,
    field,
    heading,
    layer,
    ticked,
    told,
    vega_lite,
)
from graftwork.reporting.numbers import percent

BINS = 15  # as in the calibration error
SIDE = 300  # px


def reliability(probabilities: np.ndarray, labels: np.ndarray) -> Markup:
    """Accuracy against the predicted probability, and how many pictures each bin holds."""
    counts = _bars("probability of the prediction", "n", opacity=0.75)
    spec = {
        "title": heading("Calibration", "Does 80 % sure mean 80 % right?"),
        "data": {"values": _bins(probabilities, labels)},
        "vconcat": [
            {"width": SIDE, "height": SIDE, "layer": _accuracies()},
            {"width": SIDE, "height": 60, **counts},
        ],
    }
    return vega_lite(spec, "Reliability diagram")


def _bins(probabilities: np.ndarray, labels: np.ndarray) -> list[dict[str, Any]]:
    """Those that hold a picture."""
    confidence = probabilities.max(axis=1)
    hit = probabilities.argmax(axis=1) == labels
    index = np.minimum(bin_of(confidence, BINS), BINS - 1)
    counts = np.bincount(index, minlength=BINS)
    filled = np.maximum(counts, 1)
    accuracy = np.bincount(index, hit, BINS) / filled
    mean = np.bincount(index, confidence, BINS) / filled
    return [
        {
            **{"low": i / BINS, "high": (i + 1) / BINS, "n": int(counts[i])},
            **{"accuracy": float(accuracy[i]), "confidence": float(mean[i]), "floor": 0},
            "about": f"{counts[i]} pictures, {percent(mean[i])} sure, {percent(accuracy[i])} right",
        }
        for i in range(BINS)
        if counts[i]
    ]


def _accuracies() -> list[Spec]:
    """Bars, a point at each bin's mean, and where the points of an honest network lie."""
    ends = {name: {"datum": end} for name, end in (("x", 0), ("y", 0), ("x2", 1), ("y2", 1))}
    honest = layer("rule", {"color": colour("muted"), "strokeDash": [4, 4]}, **ends)
    return [
        _bars(None, "accuracy", opacity=0.3),
        told(
            "circle",
            {"color": colour("one"), "opacity": 1},
            x=field("confidence"),
            y=field("accuracy", title="right"),
            size=field("n", scale={"range": [16, 110]}, legend=None),
        ),
        {"data": {"values": [{}]}, **honest},
    ]


def _bars(title: str | None, height: str, opacity: float) -> Spec:
    """One a bin, from its lower to its upper end."""
    axis = ticked(True, tickCount=5)
    share = {"title": "right", "axis": axis, "scale": SHARES}
    count = {"title": "pictures", "axis": {"tickCount": 2, "format": "d"}}
    return layer(
        "rect",
        {"color": colour("one"), "opacity": opacity, "stroke": colour("paper")},
        x=field("low", title=title, axis=axis, scale=SHARES),
        x2={"field": "high"},
        y=field(height, **(share if height == "accuracy" else count)),
        y2={"field": "floor"},
    )
