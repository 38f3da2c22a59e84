from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from graftwork.config.errors import UserError
from graftwork.evaluating.scoring import measure
from graftwork.metrics.accuracy import TopK
from graftwork.metrics.base import Metric
from graftwork.metrics.log_loss import LogLoss
from graftwork.settings.evaluation import Evaluation


def evaluation(**metrics: Metric) -> Evaluation:
    return Evaluation(
        metrics=metrics,
        bootstrap_samples=100,
        confidence=0.95,
        mistakes=0,
        engine="auto",
        precision="fp32",
        views=1,
        test_in_sweeps="all",
        baselines=[],
    )


HERE = str(Path(__file__).parent)
TOP1 = TopK(higher_is_better=True, k=1)
LOSS = LogLoss(higher_is_better=False)


def data() -> tuple[np.ndarray, np.ndarray]:
    """Read-only, as columns of a data frame are."""
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet([1, 1, 1], 40).astype(np.float32)
    labels = generator.integers(0, 3, 40)
    probabilities.flags.writeable = labels.flags.writeable = False
    return probabilities, labels


def test_measure() -> None:
    probabilities, labels = data()
    found = measure(evaluation(log_loss=LOSS, top1=TOP1), probabilities, labels, seed=1)
    assert list(found) == ["top1", "log_loss"]  # the headline first
    top1 = found["top1"]
    assert top1["value"] == (probabilities.argmax(1) == labels).mean()
    assert top1["low"] < top1["value"] < top1["high"]
    assert top1["n"] == 40
    again = measure(evaluation(log_loss=LOSS, top1=TOP1), probabilities, labels, seed=1)
    assert again == found
    assert measure(evaluation(top1=TOP1), probabilities, labels, seed=2)["top1"] != top1


def test_what_says_nothing_is_left_out() -> None:
    probabilities, labels = data()
    both = evaluation(top1=TOP1, top3=TopK(higher_is_better=True, k=3))
    assert list(measure(both, probabilities, labels, seed=0)) == ["top1"]


def test_two_arithmetics_must_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TopK, "weighted", lambda self, p, y, w: np.zeros(len(w)))
    import torch  # noqa: F401  (whose presence turns the comparison on)

    with pytest.warns(UserWarning, match="top1: 0.0, torchmetrics"):
        measure(evaluation(top1=TOP1), *data(), seed=0)


def test_a_linear_probe_is_measured_without_torch() -> None:
    """Also the pictures and the report import none of what takes seconds."""
    code = """
import sys
import numpy as np
from test_scoring import TOP1, data, evaluation
from graftwork.evaluating import prediction_table as predictions
from graftwork.evaluating import probabilities as split_predictions
from graftwork.reporting import evaluation_report
from graftwork.reporting import report
from graftwork.reporting import summary
from graftwork.evaluating.scoring import measure
measure(evaluation(top1=TOP1), *data(), seed=0)
print([name for name in ("torch", "torchmetrics", "timm", "matplotlib") if name in sys.modules])
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([HERE, *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize(
    ("field", "value"), [("bootstrap_samples", 99), ("confidence", 1.0), ("mistakes", -1)]
)
def test_bounds(field: str, value: float) -> None:
    values = {"metrics": {}, "bootstrap_samples": 100, "confidence": 0.9, "mistakes": 0}
    values |= {
        "engine": "auto",
        "precision": "fp32",
        "views": 1,
        "test_in_sweeps": "all",
        "baselines": [],
    }
    with pytest.raises(UserError, match=f"{field}: .* out of bounds"):
        Evaluation(**(values | {field: value}))  # type: ignore[arg-type]


def test_engines_are_named() -> None:
    with pytest.raises(UserError, match="engine: 'eagre' is unknown. Did you mean 'eager'"):
        Evaluation({"top1": TOP1}, 100, 0.9, 0, "eagre", "fp32", 1, "all", [])


def test_whose_test_is_looked_at_has_two_words() -> None:
    with pytest.raises(
        UserError, match="test_in_sweeps: 'winer' is unknown. Did you mean 'winner'"
    ):
        Evaluation({"top1": TOP1}, 100, 0.9, 0, "auto", "fp32", 1, "winer", [])
