"""Every number of a model, of the pictures that chose, of test, and of its start."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import composed
from selection_records import record

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.evaluating import prediction_table as predictions
from graftwork.evaluating.measurements import Measurements, Predicted, measurements
from graftwork.evaluating.scoring import measure
from graftwork.evaluating.several_views import Looked
from graftwork.metrics.softmax import softmax
from graftwork.models.heads import Linear
from graftwork.selecting.first_head import FirstHead
from graftwork.settings.evaluation import Evaluation
from graftwork.storage.artifacts import Artifacts

CLASSES = ["ant", "bee", "cow"]


@pytest.fixture(scope="module")
def experiment() -> Any:
    params = composed("evaluation.bootstrap_samples=200")["evaluation"]
    return SimpleNamespace(evaluation=build(params, Evaluation, "evaluation"), seed=3)


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    """A finished training of which nothing was held out."""
    made = Artifacts.at(tmp_path)
    made.classes.parent.mkdir()
    made.classes.write_text(json.dumps(CLASSES))
    record().write(made.selection)
    return made


def predicted(count: int = 40, seed: int = 0, better: float = 1.5) -> Predicted:
    """Rows, and probabilities that are right most of the time."""
    labels = np.arange(count) % 3
    rows = pd.DataFrame({"sha256": [f"{seed}{n:03}" for n in range(count)], "label": labels})
    logits = better * np.eye(3)[labels] + np.random.default_rng(seed).normal(size=(count, 3))
    return rows.assign(path=rows["sha256"]), softmax(logits)


def held_out(artifacts: Artifacts, found: Predicted) -> None:
    predictions.write(artifacts.held_out, found[0], CLASSES, found[1])


def features(monkeypatch: pytest.MonkeyPatch, found: Predicted, logits: np.ndarray) -> None:
    """A store of features that the start's head, which changes nothing, makes these logits of."""
    known = dict(zip(found[0]["sha256"], logits.astype(np.float32), strict=True))
    monkeypatch.setattr(
        "graftwork.features.feature_store.features_of",
        lambda experiment, artifacts, rows: np.stack([known[name] for name in rows["sha256"]]),
    )


def start(held_out: np.ndarray | None = None) -> FirstHead:
    tensors = {"weight": np.eye(3, dtype=np.float32), "bias": np.zeros(3, np.float32)}
    return FirstHead(Linear(init_std=0.01), tensors, 3, held_out)


def test_the_same_pictures_give_the_same_numbers_as_choice_and_as_test(
    experiment: Any, artifacts: Artifacts
) -> None:
    found = predicted()
    held_out(artifacts, found)
    result = measurements(experiment, artifacts, found)
    assert result.selection == result.scores
    labels = found[0]["label"].to_numpy()
    assert result.scores == measure(experiment.evaluation, found[1], labels, seed=3)
    assert result.scores["top1"]["value"] == (found[1].argmax(1) == labels).mean()
    assert result.scores["top1"]["n"] == 40
    assert result.record == record() and result.start is None


def test_each_is_measured_on_its_own_pictures(experiment: Any, artifacts: Artifacts) -> None:
    chose, test = predicted(30, seed=1), predicted(50, seed=2)
    held_out(artifacts, chose)
    result = measurements(experiment, artifacts, test)
    assert {entry["n"] for entry in result.selection.values()} == {30}
    assert {entry["n"] for entry in result.scores.values()} == {50}
    assert result.test is test and result.held_out is not None
    assert result.held_out[0]["sha256"].tolist() == chose[0]["sha256"].tolist()
    np.testing.assert_array_equal(result.held_out[1], chose[1])


def test_without_held_out_pictures_or_test_there_are_no_scores(
    experiment: Any, artifacts: Artifacts
) -> None:
    result = measurements(experiment, artifacts, None)
    assert (result.selection, result.scores, result.start) == ({}, {}, None)
    assert result.held_out is None and result.test is None


def test_a_test_that_nobody_looks_at_is_not_asked_for_features(
    experiment: Any, artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    chose = predicted()
    held_out(artifacts, chose)
    start(chose[1]).write(artifacts.start)
    monkeypatch.setattr("graftwork.features.feature_store.features_of", None)
    found = measurements(experiment, artifacts, None).start
    assert found is not None and set(found) == {"selection", "difference"}
    assert set(found["difference"]) == {"selection"}


def test_what_training_did_not_change_makes_no_difference(
    experiment: Any, artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    chose, test = predicted(30, seed=1), predicted(50, seed=2)
    held_out(artifacts, chose)
    start(chose[1]).write(artifacts.start)
    features(monkeypatch, test, np.log(test[1]))
    result = measurements(experiment, artifacts, test)
    assert result.start is not None
    assert result.start["selection"] == result.selection
    for name, entry in result.scores.items():
        assert result.start["test"][name]["value"] == pytest.approx(entry["value"], abs=1e-6)
    for split, count in (("selection", 30), ("test", 50)):
        found: Any = result.start["difference"][split]
        assert set(found) == set(result.scores)
        for entry in found.values():
            assert [entry[k] for k in ("value", "low", "high")] == pytest.approx([0] * 3, abs=1e-6)
            assert entry["n"] == count


def test_differences_are_the_results_minus_the_starts_and_paired(
    experiment: Any, artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start mistakes two pictures more than the result, which both find hard alike."""
    test = predicted(50, seed=2)
    right = test[1].argmax(1) == test[0]["label"].to_numpy()
    logits = np.log(test[1])
    worse = np.flatnonzero(right)[:2]
    logits[worse] = np.roll(logits[worse], 1, axis=1)
    held_out(artifacts, predicted(30, seed=1))  # on a way that did not begin at the start
    start().write(artifacts.start)
    features(monkeypatch, test, logits)
    result = measurements(experiment, artifacts, test)
    assert result.start is not None and set(result.start) == {"test", "difference"}
    found: Any = result.start["difference"]["test"]
    assert found["top1"]["value"] == pytest.approx(0.04)
    before, after = result.start["test"]["top1"], result.scores["top1"]
    assert after["value"] - before["value"] == pytest.approx(0.04)
    paired, alone = (entry["high"] - entry["low"] for entry in (found["top1"], after))
    assert found["top1"]["low"] >= 0 and paired < alone / 1.5
    assert found["log_loss"]["value"] < 0


def test_several_views_are_told_and_the_start_is_compared_by_one_of_them(
    experiment: Any, artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = predicted(50, seed=2)
    one = predicted(50, seed=5)[1]
    start().write(artifacts.start)
    features(monkeypatch, test, np.log(one))  # the start says what the result says by one view
    result = measurements(experiment, artifacts, test, Looked(one, test[1], 2, (), 1.0, 2.0, {}))
    assert result.start is not None and result.views is not None
    assert result.start["difference"]["test"]["top1"]["value"] == 0
    assert result.scores["top1"] != result.views["one"]["top1"]
    gain = result.scores["top1"]["value"] - result.views["one"]["top1"]["value"]
    assert result.views["gain"]["top1"]["value"] == pytest.approx(gain)
    assert measurements(experiment, artifacts, None).views is None


def test_what_metrics_json_says_of_the_choice(experiment: Any, artifacts: Artifacts) -> None:
    held_out(artifacts, predicted())
    result = measurements(experiment, artifacts, None)
    assert result.selection_entry() == {
        "method": "matched",
        "why": "validation lacks three classes",
        "words": "whole clusters were held out",
        "held_out": 146,
        "fitted": 732,
        "scores": result.selection,
    }
    nothing = Measurements(record(method="none"), None, {}, None, {}, None, None, None)
    assert nothing.selection_entry()["scores"] == {}


def test_a_model_of_which_nobody_says_how_it_was_chosen_is_refused(
    experiment: Any, artifacts: Artifacts
) -> None:
    artifacts.selection.unlink()
    with pytest.raises(UserError, match=r"selection.json: no such file. Run the stage finetune"):
        measurements(experiment, artifacts, predicted())
