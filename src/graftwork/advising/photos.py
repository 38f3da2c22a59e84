"""What there is to know of photos before a network is chosen, in words. No test label is read."""

from __future__ import annotations

import numpy as np
import pandas as pd

from graftwork.metrics.softmax import softmax
from graftwork.reporting.numbers import number, percent


def about(rows: pd.DataFrame, features: np.ndarray, cosine: float, most: int) -> list[str]:
    """How many, how large, how alike.

    Args:
        rows: of the manifest, train and val.
        features: of these rows.
        cosine: from which on two photos of a class are nearly the same.
        most: photos that are looked through for that.
    """
    from graftwork.selecting.near_duplicates import components

    counts, labels = rows["label"].value_counts(), rows["label"].to_numpy()
    sides = rows[["width", "height"]].min(axis=1)
    low, median, high = (number(round(side)) for side in np.percentile(sides, (5, 50, 95)))
    some, alike = np.random.default_rng(0).permutation(len(rows))[:most], 0
    for label in np.unique(labels):
        roots = components(features[some[labels[some] == label]], cosine)
        sizes = np.unique(roots, return_counts=True)[1]
        alike += int(sizes[sizes > 1].sum())
    return [
        f"{number(len(rows))} labelled photos of {len(counts)} classes, {number(counts.min())} to "
        f"{number(counts.max())} of each.",
        f"Their shorter sides are {median} px at the median ({low} to {high}).",
        f"{number(alike)} of {number(len(some))} are nearly the same as another one of their class "
        f"(cosine of features at least {cosine:g}).",
    ]


def similarity(features: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> str:
    """How much photos look like those that a network was pretrained on, by its own classifier.

    Args:
        features: `[n, d]` of the photos.
        weight: `[source classes, d]`; a row stands for its class.
        bias: `[source classes]`.
    """
    chances = softmax(features.astype(np.float64) @ weight.T + bias)
    entropy = -(chances * np.log(np.maximum(chances, 1e-12))).sum(axis=1).mean()
    unit, rows = (one / np.maximum(np.linalg.norm(one, axis=1, keepdims=True), 1e-12)
                  for one in (features, weight))  # fmt: skip
    distance = float(np.median(1 - (unit @ rows.T).max(axis=1)))
    return (
        f"its own classifier of {number(len(weight))} classes answers with "
        f"{percent(float(entropy / np.log(len(weight))), 0)} of the entropy of a guess, and the "
        f"nearest class lies at a cosine distance of {distance:.2f}"
    )
