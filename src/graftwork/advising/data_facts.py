"""What there is to know of the photos before a network is chosen. No label of the test is read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from graftwork.metrics.softmax import softmax
from graftwork.reporting.numbers import number, percent


@dataclass(frozen=True)
class Facts:
    """Of train and val together."""

    pictures: int
    classes: int
    fewest: int  # of one class
    most: int
    shorter: tuple[float, float, float]  # shorter side, px: 5th, 50th and 95th percentile
    alike: int  # near-duplicates of another one of their class
    cosine: float  # from which on two photos count as nearly the same

    def sentences(self) -> list[str]:
        each = number(self.fewest)
        each += "" if self.fewest == self.most else f" to {number(self.most)}"
        low, median, high = (number(round(side)) for side in self.shorter)
        return [
            f"{number(self.pictures)} labelled photos of {self.classes} classes, {each} of each.",
            f"Their shorter sides are {median} px at the median ({low} to {high}).",
            f"{number(self.alike)} of them are nearly the same as another one of their class "
            f"(cosine of features at least {self.cosine:g}).",
        ]


def facts(rows: pd.DataFrame, features: np.ndarray, cosine: float, most: int, seed: int) -> Facts:
    """The facts.

    Args:
        rows: of the manifest, train and val.
        features: of these rows.
        cosine: from which on two photos of a class are nearly the same.
        most: photos that are looked through for that.
    """
    from graftwork.selecting.near_duplicates import components

    counts = rows["label"].value_counts()
    sides = rows[["width", "height"]].min(axis=1)
    some = np.random.default_rng(seed).permutation(len(rows))[:most]
    labels, alike = rows["label"].to_numpy()[some], 0
    for label in np.unique(labels):
        roots = components(features[some[labels == label]], cosine)
        _, sizes = np.unique(roots, return_counts=True)
        alike += int(sizes[sizes > 1].sum())
    low, median, high = np.percentile(sides, (5, 50, 95))
    return Facts(
        pictures=len(rows),
        classes=len(counts),
        fewest=int(counts.min()),
        most=int(counts.max()),
        shorter=(float(low), float(median), float(high)),
        alike=alike,
        cosine=cosine,
    )


@dataclass(frozen=True)
class Similarity:
    """How much new photos look like those that a network was pretrained on."""

    entropy: float  # of the source classifier's answers, a share of the largest: 0 sure, 1 clueless
    distance: float  # cosine distance of features to the nearest source class, median
    classes: int  # of the source

    def __str__(self) -> str:
        return (
            f"its own classifier of {number(self.classes)} classes is "
            f"{percent(1 - self.entropy, 0)} sure of what it sees here, and its nearest class lies "
            f"at a cosine distance of {self.distance:.2f}"
        )


def similarity(features: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> Similarity:
    """By the source's own linear classifier, whose rows stand for its classes.

    Args:
        features: `[n, d]` of the new photos.
        weight: `[source classes, d]`.
        bias: `[source classes]`.
    """
    chances = softmax(features.astype(np.float64) @ weight.T + bias)
    entropies = -(chances * np.log(np.maximum(chances, 1e-12))).sum(axis=1)
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    rows = weight / np.maximum(np.linalg.norm(weight, axis=1, keepdims=True), 1e-12)
    nearest = 1 - (unit @ rows.T).max(axis=1)
    return Similarity(
        float(entropies.mean() / np.log(len(weight))), float(np.median(nearest)), len(weight)
    )
