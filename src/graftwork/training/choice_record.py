"""The record of how what is kept was chosen, from what held-out pictures said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graftwork.data.folds import NEVER, learnable, stratified
from graftwork.selecting.record import Clustering, Distances, Optimism, SelectionRecord

if TYPE_CHECKING:
    from graftwork.training.source import Source


def record_of(source: Source, fold: np.ndarray, chose: str, **parts: Any) -> SelectionRecord:
    """The record of how what is kept was chosen.

    Args:
        fold: of the pictures that chose.
        chose: what they chose, and by which rule.
        parts: further fields of the record.
    """
    held_out = source.held_out
    count, matched = int((fold != NEVER).sum()), held_out.matched
    folds = len(set(fold.tolist()) - {NEVER})
    distances = clusters = None
    if matched is not None:
        from graftwork.selecting.matched import PERCENTILES, at_percentiles

        curves = map(at_percentiles, (matched.new, matched.held_out, matched.random))
        distances = Distances(PERCENTILES.astype(float).tolist(), *curves)
        clusters = [
            Clustering(number, round(apart, 6), number == matched.clusters)
            for number, apart in matched.tried
        ]
    what = f"{count} photos were held out ({held_out.what}) and chose {chose}"
    missing = "nothing was held out, and nothing chosen: no score of this run may choose anything"
    values: dict[str, Any] = {
        "method": held_out.method if count else "none",
        "why": held_out.why,
        "words": what if count else missing,
        "held_out": count,
        "fitted": len(held_out.rows),
        "folds": folds,
        "distances": distances,
        "clusters": clusters,
        "optimism": _optimism(source),
        "shares": None,
        "gone_back": [],
        "ended_as_start": False,
    }
    return SelectionRecord(**values | parts)


def _optimism(source: Source) -> Optimism | None:
    """What random folds would have said of the same probe."""
    head, held_out = source.head, source.held_out
    if head is None or source.features is None or held_out.method not in ("matched", "grouped"):
        return None
    labels, seed = held_out.labels, source.experiment.dataset.splits.seed
    random = learnable(stratified(labels, source.experiment.selection.head_folds, seed), labels)
    easy = head.fixed.cross_validated(source.examples(source.features, random))
    return Optimism(_top1(easy, labels), _top1(head.held_out, labels))


def _top1(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Of the rows that were held out; the others are NaN."""
    seen = ~np.isnan(probabilities[:, 0])
    return float((probabilities.argmax(1) == labels)[seen].mean()) if seen.any() else 0.0
