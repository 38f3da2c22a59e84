"""Every number of a finished model: on the pictures that chose, on test, and of its start."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graftwork.evaluating.scoring import measure, paired
from graftwork.evaluating.several_views import Looked, views_entry
from graftwork.metrics.softmax import softmax
from graftwork.selecting.expected import EXPECTED, expected_top1
from graftwork.selecting.first_head import FirstHead
from graftwork.selecting.record import SelectionRecord

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
    selection: Scores  # on them, and EXPECTED where new ones were asked about; empty without
    test: Predicted | None  # None: not looked at
    scores: Scores  # on test; empty likewise
    start: dict[str, Scores] | None  # of the probe that training began from
    views: dict[str, Any] | None  # what several views of test pictures gain and cost
    engine: dict[str, Any] | None  # how the network was run on test; None: it was not

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
    experiment: Experiment,
    artifacts: Artifacts,
    test: Predicted | None,
    looked: Looked | None = None,
) -> Measurements:
    """The same code measures the pictures that chose and the test.

    Args:
        test: rows and probabilities of the test split; None where it is not looked at.
        looked: how these probabilities came about. What training began from is compared by one
            view, of which it is.
    """
    from graftwork.data.manifest import read_classes
    from graftwork.evaluating import prediction_table as predictions

    record = SelectionRecord.read(artifacts.selection)
    classes = read_classes(artifacts.classes)
    held_out = predictions.read(artifacts.held_out, classes)
    found = FirstHead.read(artifacts.start)
    one = test if test is None or looked is None else (test[0], looked.one)
    start = None if found is None else _start(experiment, artifacts, found, held_out, one)
    return Measurements(
        record=record,
        held_out=held_out,
        selection=_selection(experiment, held_out, predictions.read(artifacts.new, classes)),
        test=test,
        scores=_scores(experiment, test),
        start=start,
        views=None if test is None or looked is None else _views(experiment, test, looked),
        engine=None if looked is None else looked.engine,
    )


def _views(experiment: Experiment, test: Predicted, looked: Looked) -> dict[str, Any] | None:
    return views_entry(experiment, looked, test[0]["label"].to_numpy())


def _scores(experiment: Experiment, predicted: Predicted | None) -> Scores:
    if predicted is None:
        return {}
    rows, probabilities = predicted
    return measure(experiment.evaluation, probabilities, rows["label"].to_numpy(), experiment.seed)


def _selection(experiment: Experiment, held_out: Predicted | None, new: Predicted | None) -> Scores:
    """Of the pictures that chose, and what to expect of new ones by them."""
    found = _scores(experiment, held_out)
    if held_out is None or new is None:
        return found
    wanted, (rows, probabilities) = experiment.evaluation, held_out
    expected = expected_top1(
        probabilities, rows["label"].to_numpy(), new[1], samples=wanted.bootstrap_samples,
        confidence=wanted.confidence, seed=experiment.seed,
    )  # fmt: skip
    return {**found, EXPECTED: {**asdict(expected), "n": len(new[0])}}


def _start(
    experiment: Experiment,
    artifacts: Artifacts,
    start: FirstHead,
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
        differences[split] = paired(
            experiment.evaluation, result[1], probabilities, labels, experiment.seed
        )
    return {**found, "difference": differences}
