"""How well each class is recognised."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np


@dataclass(frozen=True)
class ClassScore:
    """One class on the test pictures. Scores without a denominator are None, not 0."""

    name: str
    n: int  # test pictures
    predicted: int  # pictures taken for it
    recall: float | None
    low: float | None  # of recall: Wilson's interval
    high: float | None
    precision: float | None
    f1: float | None


def class_scores(
    names: list[str], labels: np.ndarray, predicted: np.ndarray, confidence: float
) -> list[ClassScore]:
    """A score for every class, in class order."""
    counts = confusion_counts(labels, predicted, len(names))
    scores = []
    for index, name in enumerate(names):
        hits, n, taken = (
            int(value)
            for value in (counts[index, index], counts[index].sum(), counts[:, index].sum())
        )
        low, high = wilson(hits, n, confidence) if n else (None, None)
        recall = hits / n if n else None
        precision = hits / taken if taken else None
        f1 = 2 * hits / (n + taken) if n else None
        scores.append(ClassScore(name, n, taken, recall, low, high, precision, f1))
    return scores


def confusion_counts(labels: np.ndarray, predicted: np.ndarray, size: int) -> np.ndarray:
    """`[size, size]`: row the class, column what it was taken for."""
    return np.bincount(labels * size + predicted, minlength=size * size).reshape(size, size)


def wilson(hits: int, n: int, confidence: float) -> tuple[float, float]:
    """The score interval of a proportion, sound for few pictures (Wilson, JASA 1927)."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    centre = (hits + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * sqrt(hits * (n - hits) / n + z * z / 4)
    return max(0.0, centre - half), min(1.0, centre + half)
