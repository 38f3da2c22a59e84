"""What whoever is handed a model is told: what was recorded, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from untrained_model import untrained

from graftwork.config.errors import UserError
from graftwork.evaluating import prediction_table
from graftwork.evaluating.scoring import measure
from graftwork.reporting import model_card
from graftwork.storage.artifacts import Artifacts

COST = {
    "seconds": {"prepare": 2.5, "finetune": 60.0}, "peak_mib": 812.4, "parameters": 1200,
    "trainable_parameters": 30, "macs": 385_000, "latency_ms": 4.5, "machine": "busy",
}  # fmt: skip


@pytest.fixture
def finished(tiny_params: Callable[..., dict[str, Any]], tmp_path: Path) -> Artifacts:
    """An experiment whose 15 test pictures are right but for two blue ones, taken for red."""
    experiment, artifacts, frame = untrained(tiny_params("dataset.licence=CC0"), tmp_path)
    labels = frame["label"].to_numpy()
    said = labels.copy()
    said[np.flatnonzero(labels == 0)[:2]] = 2
    chances = np.full((15, 3), 0.02, np.float32) + 0.94 * np.eye(3, dtype=np.float32)[said]
    prediction_table.write(artifacts.predictions, frame, ["blue", "green", "red"], chances)
    scores = measure(experiment.evaluation, chances, labels, 0)
    result = {
        "title": "photos · tiny", "confidence": 0.95, "test": scores, "cost": COST,
        "selection": {"scores": scores}, "run_id": "0123abcd",
        "start": {"difference": {"test": {"top1": scores["top1"] | {"value": 0.1}}}},
    }  # fmt: skip
    artifacts.metrics.write_text(json.dumps(result))
    return artifacts


def test_it_says_what_was_measured(finished: Artifacts) -> None:
    text = model_card.card(finished)
    assert "| Top-1 accuracy | 86.7 % (" in text.replace("\u202f", " ")
    assert "- blue is taken for red: 2 of 5 pictures" in text and "taken for green" not in text
    recall = [line.split(" | ") for line in text.splitlines() if line.startswith("| blue")]
    assert [cell.replace("\u202f", " ")[:6] for cell in recall[0][1:3]] == ["5", "60.0 %"]
    assert "100.0\u202f% of all answers are given with a probability of 90\u202f%" in text
    assert "86.7\u202f% of these are right" in text
    assert "+10.0\u202fpoints top-1" in text
    assert "licence: CC0" in text and "train 24, val 9, test 15" in text
    assert "random ones" in text and "MLflow run 0123abcd" in text
    assert "(other programs ran beside it)" in text


def test_it_says_what_was_not_tested(finished: Artifacts) -> None:
    text = model_card.card(finished)
    assert "fewer than 30 tell little of blue (5), green (5), red (5)" in text
    assert "40\u202fpx high" in text, "sizes are those of the test pictures"
    finished.predictions.unlink()
    result = json.loads(finished.metrics.read_text()) | {"test": {}}
    finished.metrics.write_text(json.dumps(result))
    unseen = model_card.card(finished)
    assert "The test pictures were not looked at" in unseen and "### By class" not in unseen


def test_words_from_data_are_neither_markup_nor_html(finished: Artifacts) -> None:
    result = json.loads(finished.metrics.read_text())
    result["title"] = "<script>x</script> *a* [b](c)\n# d | e"
    finished.metrics.write_text(json.dumps(result))
    _, page = model_card.write(finished.root)
    html = page.read_text()
    assert "<script" not in html and "&lt;script&gt;x&lt;/script&gt; *a* [b](c)\\n# d | e" in html
    assert html.count("<h1") == 1 and "<em>" not in html and "<table>" in html


@pytest.mark.parametrize("text", ["efficientnet_lite0", "a-b 1.0 (c)", "é 'x'"])
def test_ordinary_words_stay_legible(text: str) -> None:
    assert model_card.escaped(text) == text


def test_without_a_result_it_names_the_way(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"metrics.json: no such file. Run the experiment first"):
        model_card.write(tmp_path)
