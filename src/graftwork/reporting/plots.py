"""The pictures of an evaluation, as SVG: geometry here, drawing in templates/*.svg.jinja.

No plotting library: importing one costs more than all of the evaluation, and SVG stays sharp,
follows the reader's light or dark mode and explains itself under the pointer.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from graftwork.metrics.base import Metric
from graftwork.metrics.calibration import bin_of
from graftwork.reporting.drawing import Scale, render, shortened, text_width, ticks
from graftwork.reporting.per_class import ClassScore, confusion_counts

LABEL = 12.0  # px, font size of class names and ticks
LABEL_WIDTH = 170.0  # px that a class name may take
SHOWN = 40  # classes that a picture can show legibly
BINS = 15  # of the reliability diagram, as in the calibration error
TEST, HELD_OUT = "test", "held-out"  # pictures that are drawn, in words


@dataclass(frozen=True)
class Cell:
    """One pair of classes in the confusion matrix."""

    row: int
    column: int
    count: int
    share: float  # of the row's pictures
    actual: str
    predicted: str

    @property
    def right(self) -> bool:
        return self.actual == self.predicted


def confusion(
    names: list[str], labels: np.ndarray, predicted: np.ndarray, split: str = TEST
) -> Markup:
    """Counts, coloured by the share of the actual class.

    With more than SHOWN classes, the ones that are confused most; what they were taken for
    outside of these stands in a last column.
    """
    counts = confusion_counts(labels, predicted, len(names))
    chosen = _most_confused(counts)
    table = counts[np.ix_(chosen, chosen)]
    columns = [names[index] for index in chosen]
    if len(chosen) < len(names):
        table = np.column_stack([table, counts[chosen].sum(axis=1) - table.sum(axis=1)])
        columns.append("other classes")
    totals = counts[chosen].sum(axis=1)
    cells = [
        Cell(row, column, int(table[row, column]), table[row, column] / totals[row], actual, taken)
        for row, actual in enumerate(columns[: len(chosen)])
        for column, taken in enumerate(columns)
        if table[row, column]
    ]
    side = 40 if len(chosen) <= 12 else 34 if len(chosen) <= 20 else 22
    widest = min(LABEL_WIDTH, max(text_width(name, LABEL) for name in columns))
    return render(
        "confusion.svg.jinja",
        cells=cells,
        side=side,
        font=12 if side > 30 else 9,
        rows=[(names[index], shortened(names[index], LABEL_WIDTH, LABEL)) for index in chosen],
        columns=[(name, shortened(name, LABEL_WIDTH, LABEL)) for name in columns],
        totals=totals.tolist(),
        left=widest + 16,
        top=62 + widest * math.sin(math.pi / 4),
        overhang=max(56.0, widest * math.cos(math.pi / 4) - side / 2),
        all_classes=len(names),
        split=split,
    )


def _most_confused(counts: np.ndarray) -> np.ndarray:
    """The classes to show, in class order: all, or those with the most wrong pictures."""
    occurring = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    if len(occurring) <= SHOWN:
        return occurring
    wrong = counts.sum(axis=0) + counts.sum(axis=1) - 2 * np.diagonal(counts)
    present = np.flatnonzero(counts.sum(axis=1))
    return np.sort(present[np.argsort(-wrong[present], kind="stable")][:SHOWN])


def class_bars(scores: Sequence[ClassScore], split: str = TEST) -> Markup:
    """Recall with its interval and F1 of each class, the weakest first."""
    known = [score for score in scores if score.recall is not None]
    known.sort(key=lambda score: (score.recall, score.f1))
    shown = known[:SHOWN]
    widest = min(LABEL_WIDTH, max(text_width(score.name, LABEL) for score in shown))
    return render(
        "class_bars.svg.jinja",
        scores=[(score, shortened(score.name, LABEL_WIDTH, LABEL)) for score in shown],
        x=Scale(0, 1, widest + 16, widest + 16 + 440),
        row=24,
        top=64,
        hidden=len(known) - len(shown),
        split=split,
    )


def reliability(probabilities: np.ndarray, labels: np.ndarray) -> Markup:
    """Accuracy against the predicted probability, and how many pictures each bin holds."""
    confidence = probabilities.max(axis=1)
    hit = probabilities.argmax(axis=1) == labels
    index = np.minimum(bin_of(confidence, BINS), BINS - 1)
    counts = np.bincount(index, minlength=BINS)
    filled = np.maximum(counts, 1)
    accuracy = np.bincount(index, hit, BINS) / filled
    mean = np.bincount(index, confidence, BINS) / filled
    bins = [
        {
            "low": i / BINS,
            "high": (i + 1) / BINS,
            "n": int(counts[i]),
            "accuracy": float(accuracy[i]),
            "confidence": float(mean[i]),
            "share": counts[i] / counts.max(),
        }
        for i in range(BINS)
        if counts[i]
    ]
    return render("reliability.svg.jinja", bins=bins, n=len(labels))


def metric_intervals(
    scores: Mapping[str, Mapping[str, float]],
    metrics: Mapping[str, Metric],
    confidence: float,
    split: str = TEST,
) -> Markup:
    """Every metric with its interval: shares on one axis, others on an axis of their own."""
    rows = []
    for name, score in scores.items():
        metric = metrics[name]
        high = 1.0 if metric.is_share else (score["high"] or 1.0) * 1.05
        row = {"label": metric.label, "share": metric.is_share, "ticks": ticks(0, high, 6)}
        rows.append({**row, "x": Scale(0, high, 170, 620), **score})
    rows.sort(key=lambda row: not row["share"])
    return render("intervals.svg.jinja", rows=rows, confidence=confidence, split=split)


def write_tables(
    folder: Path,
    names: list[str],
    labels: np.ndarray,
    predicted: np.ndarray,
    scores: Sequence[ClassScore],
) -> None:
    """The CSV files that `dvc plots` draws: confusion.csv and per_class.csv."""
    with (folder / "confusion.csv").open("w", newline="", encoding="utf-8") as file:
        rows: list[Sequence[Any]] = [
            (names[a], names[p]) for a, p in zip(labels, predicted, strict=True)
        ]
        csv.writer(file).writerows([("actual", "predicted"), *rows])
    with (folder / "per_class.csv").open("w", newline="", encoding="utf-8") as file:
        lines = ((s.name, s.n, s.recall, s.precision, s.f1) for s in scores)
        csv.writer(file).writerows([("class", "n", "recall", "precision", "f1"), *lines])
