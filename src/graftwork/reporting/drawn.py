"""Which pictures a report shows: those of the test split, or those that were held out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from graftwork.metrics.base import Metric
from graftwork.reporting import plots, report
from graftwork.reporting.calibration_plot import reliability
from graftwork.reporting.confusion_plot import confusion
from graftwork.reporting.per_class import ClassScore, class_scores
from graftwork.reporting.score_words import Scores
from graftwork.selecting.expected import EXPECTED

if TYPE_CHECKING:
    import pandas as pd

    from graftwork.data.images import DecodedImages


@dataclass(frozen=True)
class Drawn:
    """The pictures that tables, drawings and mistakes are of, and what was predicted for them."""

    split: str  # plots.TEST or plots.HELD_OUT
    classes: list[str]
    scores: Scores
    frame: pd.DataFrame  # sha256, path, label
    probabilities: np.ndarray  # [len(frame), num_classes]

    @cached_property
    def labels(self) -> np.ndarray:
        return self.frame["label"].to_numpy()

    @cached_property
    def predicted(self) -> np.ndarray:
        return self.probabilities.argmax(axis=1)

    @property
    def wrong(self) -> int:
        return int((self.labels != self.predicted).sum())

    def by_class(self, confidence: float) -> list[ClassScore]:
        return class_scores(self.classes, self.labels, self.predicted, confidence)

    def pictures(
        self, metrics: Mapping[str, Metric], confidence: float
    ) -> dict[str, Markup | None]:
        """Scores, confusion, classes and calibration, as SVG."""
        by_class = self.by_class(confidence)
        return {
            "intervals": plots.metric_intervals(self.scores, metrics, confidence, self.split),
            "confusion": confusion(self.classes, self.labels, self.predicted, self.split),
            "classes": plots.class_bars(by_class, self.split),
            "calibration": reliability(self.probabilities, self.labels),
        }

    def write_tables(self, folder: Path, confidence: float) -> None:
        """The CSV files that `dvc plots` draws."""
        by_class = self.by_class(confidence)
        plots.write_tables(folder, self.classes, self.labels, self.predicted, by_class)

    def mistakes(self, images: DecodedImages, count: int) -> list[report.Mistake]:
        """The worst ones, at most `count`."""
        return report.worst_mistakes(self.frame, self.classes, self.probabilities, images, count)


Measured = tuple[Scores, "tuple[pd.DataFrame, np.ndarray] | None"]


def drawn_of(classes: list[str], test: Measured, held_out: Measured) -> Drawn | None:
    """The test pictures; where nobody looked at them, those held out; None for neither.

    Args:
        classes: their names, by label.
        test: scores (empty: nobody looked), and what they are of: rows and probabilities.
        held_out: likewise, of the pictures that chose.
    """
    for split, (scores, found) in ((plots.TEST, test), (plots.HELD_OUT, held_out)):
        if scores and found is not None:
            # What to expect of new pictures is no metric of these; it is told in words.
            own = {name: score for name, score in scores.items() if name != EXPECTED}
            return Drawn(split, classes, own, *found)
    return None
