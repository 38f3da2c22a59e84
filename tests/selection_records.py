"""A reports/selection.json with everything that one can hold."""

from __future__ import annotations

from typing import Any

from graftwork.selecting.record import (
    Clustering,
    Distances,
    Optimism,
    SelectionRecord,
    WayPoint,
)


def record(**changes: Any) -> SelectionRecord:
    """One hold-out of clusters; with other values where they are named."""
    values: dict[str, Any] = {
        "method": "matched",
        "why": "validation lacks three classes",
        "words": "whole clusters were held out",
        "held_out": 146,
        "fitted": 732,
        "folds": 1,
        "distances": Distances([0, 50, 100], [0.1, 0.2, 0.4], [0.1, 0.25, 0.5], [0, 0.02, 0.1]),
        "clusters": [Clustering(60, 0.021, False), Clustering(110, 0.0097, True)],
        "optimism": Optimism(0.973, 0.858),
        "shares": [
            WayPoint(0.0, 0.842, 0.61, False),
            WayPoint(0.75, 0.873, 0.48, True),
            WayPoint(1.0, 0.866, 0.51, False),
        ],
        "gone_back": [],
        "ended_as_start": False,
    }
    return SelectionRecord(**(values | changes))


def without_parts(**changes: Any) -> SelectionRecord:
    """One that holds nothing that a method may lack."""
    absent = {"distances": None, "clusters": None, "optimism": None, "shares": None}
    return record(**(absent | changes))
