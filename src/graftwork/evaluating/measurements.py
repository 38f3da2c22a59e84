"""Every number of a finished model: on the pictures that chose, on test, and of its start."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graftwork.evaluating.probabilities import softmax
from graftwork.evaluating.scoring import measure
from graftwork.selecting.record import SelectionRecord
from graftwork.selecting.start import Start

if TYPE_CHECKING:
    import pandas as pd

    from graftwork.experiment import Experiment
    from graftwork.storage.artifacts import Artifacts

Predicted = tuple["pd.DataFrame", np.ndarray]  # rows (sha256, path, label), probabilities
Scores = dict[str, dict[str, float]]  # by metric: value, low, high, n


@dataclass(frozen=True)
class Measurements:
    """What evaluation found."""

    record: SelectionRecord
    held_out: Predicted | None  # the pictures that chose
    selection: Scores  # on them; empty without
    test: Predicted | None  # None: not looked at
    scores: Scores  # on test; empty likewise
    start: dict[str, Scores] | None  # of the probe that training began from

    def selection_entry(self) -> dict[str, Any]:
        """As metrics.json has it."""
        record = self.record
        return {
            "method": record.method,
            "why": record.why,
            "words": record.words,
            "held_out": record.held_out,
            "fitted": record.fitted,
            "scores": self.selection,
        }


def measurements(
    experiment: Experiment, artifacts: Artifacts, test: Predicted | None
) -> Measurements:
    """The same code measures the pictures that chose and the test.

    Args:
        test: rows and probabilities of the test split; None where it is not looked at.
    """
    from graftwork.evaluating import prediction_table as predictions

    record = SelectionRecord.read(artifacts.selection)
    classes = json.loads(artifacts.classes.read_text(encoding="utf-8"))
    held_out = predictions.read(artifacts.held_out, classes)
    found = Start.read(artifacts.start)
    start = None if found is None else _start(experiment, artifacts, found, held_out, test)
    return Measurements(
        record=record,
        held_out=held_out,
        selection=_scores(experiment, held_out),
        test=test,
        scores=_scores(experiment, test),
        start=start,
    )


def _scores(experiment: Experiment, predicted: Predicted | None) -> Scores:
    if predicted is None:
        return {}
    rows, probabilities = predicted
    return measure(experiment.evaluation, probabilities, rows["label"].to_numpy(), experiment.seed)


def _start(
    experiment: Experiment,
    artifacts: Artifacts,
    start: Start,
    held_out: Predicted | None,
    test: Predicted | None,
) -> dict[str, Scores]:
    """Scores of the probe, and the result's minus these on the same pictures."""
    from graftwork.features.feature_store import features_of

    found: dict[str, Scores] = {}
    differences: dict[str, Any] = {}
    before: dict[str, tuple[Predicted, np.ndarray]] = {}
    if held_out is not None and start.held_out is not None:
        before["selection"] = held_out, start.held_out
    if test is not None:
        features = features_of(experiment, artifacts, test[0])
        before["test"] = test, softmax(start.logits(features))
    for split, (result, probabilities) in before.items():
        found[split] = _scores(experiment, (result[0], probabilities))
        labels = result[0]["label"].to_numpy()
        differences[split] = _paired(experiment, result[1], probabilities, labels)
    return {**found, "difference": differences}


def _paired(
    experiment: Experiment, result: np.ndarray, before: np.ndarray, labels: np.ndarray
) -> Scores:
    """The result's metrics minus those of what training began from, with BCa intervals."""
    from graftwork.metrics.bootstrap import Difference, intervals

    evaluation = experiment.evaluation
    metrics = evaluation.metrics_for(result.shape[1])
    found = intervals(
        {name: Difference(metric) for name, metric in metrics.items()},
        np.concatenate([result, before], axis=1),
        labels,
        samples=evaluation.bootstrap_samples,
        confidence=evaluation.confidence,
        seed=experiment.seed,
    )
    return {name: {**asdict(interval), "n": len(labels)} for name, interval in found.items()}
