"""From an experiment's tree to its pictures, tables and page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from report_pages import GROUPS
from selection_records import record, without_parts
from tiny_experiment import tiny_experiment

from graftwork.data import manifest
from graftwork.evaluating import prediction_table as predictions
from graftwork.evaluating.measurements import Measurements
from graftwork.evaluating.scoring import measure
from graftwork.reporting import evaluation_report
from graftwork.selecting.record import SelectionRecord

CLASSES = ["blue", "green", "red"]
COST: dict[str, Any] = {
    "seconds": {"prepare": 2.5}, "images_per_second": {"test": 61.25}, "peak_mib": 812.4,
    "parameters": 12, "trainable_parameters": 3, "macs": 385, "activation_mib": 25.7,
    "latency_ms": 4.5, "energy_mj_per_image": 78.9, "energy_source": "time", "machine": "idle",
}  # fmt: skip
PROFILE = {"input": [3, 32, 32], "groups": GROUPS}


class Tree:
    """A prepared experiment, and predictions of its splits as of a network."""

    def __init__(self, root: Path, params: dict[str, Any]) -> None:
        self.experiment, self.artifacts = tiny_experiment(params, root)
        self.artifacts.params.write_text(yaml.safe_dump(params))
        frame = manifest.read(self.artifacts.manifest)
        self.test = self._predicted(manifest.of_split(frame, "test"))
        # What held_out.parquet says, written and read by hand.
        rows, chances = self._predicted(manifest.of_split(frame, "val"))
        predictions.write(self.artifacts.held_out, rows, CLASSES, chances)
        kept = pd.read_parquet(self.artifacts.held_out)
        kept["label"] = kept["class"].map(CLASSES.index)
        self.held_out = kept, np.stack(list(kept["probabilities"]))

    @staticmethod
    def _predicted(frame: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
        """Right but for the first picture."""
        labels = frame["label"].to_numpy()
        predicted = np.where(np.arange(len(frame)) < 1, (labels + 1) % 3, labels)
        chances = np.full((len(frame), 3), 0.1, np.float32)
        return frame, chances + 0.7 * np.eye(3, dtype=np.float32)[predicted]

    def scores(self, pictures: tuple[pd.DataFrame, np.ndarray]) -> dict[str, dict[str, float]]:
        frame, chances = pictures
        return measure(self.experiment.evaluation, chances, frame["label"].to_numpy(), 0)

    def write(self, *, tested: bool, held_out: bool, known: SelectionRecord | None = None) -> str:
        test = self.test if tested else None
        kept = self.held_out if held_out else None
        found = Measurements(
            record=known or record(),
            held_out=kept,
            selection=self.scores(kept) if kept else {},
            test=test,
            scores=self.scores(test) if test else {},
            start={"test": self.scores(self.test)} if tested else None,
            views=None,
            engine=None,
        )
        evaluation_report.write(self.experiment, self.artifacts, found, CLASSES, COST, PROFILE)
        return self.artifacts.report.read_text(encoding="utf-8")

    def plots(self) -> set[str]:
        return {path.name for path in self.artifacts.plots.iterdir()}


@pytest.fixture
def tree(tmp_path: Path, tiny_params: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.setattr(evaluation_report, "lineage", lambda *_: {"git": "abc"})
    return Tree(tmp_path / "job", tiny_params("evaluation.mistakes=3"))


OF_SCORES = {
    "intervals.svg", "confusion.svg", "classes.svg", "calibration.svg", "confusion.csv",
    "per_class.csv",
}  # fmt: skip
OF_SELECTION = {"distances.svg", "distances.csv", "way.svg", "way.csv"}


def test_selection_and_test_beside_each_other(tree: Tree) -> None:
    text = tree.write(tested=True, held_out=True)
    assert tree.plots() == OF_SCORES | OF_SELECTION
    assert "How it was chosen" in text
    assert "n = 15 test pictures" in text and text.count("<figure>") == 1
    assert '<td class="n">88.9\u202f%</td>' in text  # 8 of 9 held-out pictures
    assert '<td class="n">93.3\u202f%</td>' in text  # 14 of 15 test pictures
    assert "What training began from" in text


def test_a_job_whose_test_nobody_looked_at_draws_the_pictures_held_out(tree: Tree) -> None:
    text = tree.write(tested=False, held_out=True)
    assert tree.plots() == OF_SCORES | OF_SELECTION
    assert "n = 9 held-out pictures" in text
    assert "The test was not looked at." in text
    assert "Held-out pictures by class" in text
    assert text.count("<figure>") == 1  # the mistake, with its photo
    assert len((tree.artifacts.plots / "confusion.csv").read_text().splitlines()) == 1 + 9


def test_nothing_held_out_and_no_test(tree: Tree) -> None:
    text = tree.write(tested=False, held_out=False, known=without_parts(method="none"))
    assert tree.plots() == set()
    assert "nothing to measure" in text and "nothing can be chosen by this run" in text


def test_names_of_scores_in_mlflow() -> None:
    scores = {"top1": {"value": 0.8, "low": 0.7, "high": 0.9, "n": 9}}
    assert evaluation_report.flat(scores) == {
        "test/top1": 0.8, "test/top1_low": 0.7, "test/top1_high": 0.9,
    }  # fmt: skip
    assert set(evaluation_report.flat(scores, "selection")) == {
        "selection/top1", "selection/top1_low", "selection/top1_high",
    }  # fmt: skip
    assert evaluation_report.flat({}, prefix="selection") == {}
