"""Every metric against torchmetrics on explicit resamples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import composed

from graftwork.config.components import build
from graftwork.evaluating.scoring import point
from graftwork.metrics.accuracy import BalancedAccuracy, TopK, ranks
from graftwork.metrics.base import FEW, Metric, counts_by, mean_over_occurring, sums_by
from graftwork.metrics.calibration import CalibrationError, bin_of
from graftwork.metrics.f1 import MacroF1
from graftwork.metrics.log_loss import LogLoss, log_losses
from graftwork.settings.evaluation import Evaluation

METRICS = [
    TopK(higher_is_better=True, k=1),
    TopK(higher_is_better=True, k=3),
    BalancedAccuracy(higher_is_better=True),
    MacroF1(higher_is_better=True),
    LogLoss(higher_is_better=False),
    CalibrationError(higher_is_better=False, bins=15),
]


def predictions(n: int, classes: int, absent: int, seed: int = 0) -> tuple[Any, Any]:
    """Random, somewhat right; class `absent` has no picture but is predicted now and then."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes - 1, n)
    labels[labels >= absent] += 1
    logits = generator.normal(0, 1, (n, classes))
    logits[np.arange(n), labels] += 1
    exponents = np.exp(logits * 2)
    return (exponents / exponents.sum(1, keepdims=True)).astype(np.float32), labels


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.label)
def test_weights_equal_torchmetrics_on_the_resampled_pictures(metric: Metric) -> None:
    probabilities, labels = predictions(61, 6, absent=2)
    assert (probabilities.argmax(1) == 2).any()
    generator = np.random.default_rng(1)
    draws = generator.integers(0, 61, (5, 61))
    draws[4, :] = draws[4, :3].repeat(21)[:61]  # a resample in which most classes are absent
    weights = np.stack([np.bincount(draw, minlength=61) for draw in draws]).astype(float)
    expected = [point(metric, probabilities[draw], labels[draw]) for draw in draws]
    assert metric.weighted(probabilities, labels, weights) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.label)
def test_a_perfect_network(metric: Metric) -> None:
    labels = np.array([0, 1, 2, 4, 4])  # class 3 does not occur
    probabilities = np.eye(5, dtype=np.float32)[labels]
    (value,) = metric.weighted(probabilities, labels, np.ones((1, 5)))
    assert value == (1 if metric.higher_is_better else 0)
    assert point(metric, probabilities, labels) == value


def test_top_k_with_k_classes_is_left_out() -> None:
    top5 = TopK(higher_is_better=True, k=5)
    assert not top5.applies(5)
    assert top5.applies(6)
    assert TopK(higher_is_better=True, k=1).applies(1)
    assert not top5.applies(3)
    probabilities, labels = predictions(9, 3, absent=1)
    assert point(top5, probabilities, labels) == 1  # buildable all the same


def test_ranks_break_ties_in_class_order() -> None:
    probabilities = np.array([[0.4, 0.4, 0.2], [0.4, 0.4, 0.2], [0.1, 0.2, 0.7]])
    assert ranks(probabilities, np.array([0, 1, 0])).tolist() == [0, 1, 2]


def test_classes_without_pictures_do_not_count() -> None:
    values = np.array([[1.0, 0.5, 0.0]])
    assert mean_over_occurring(values, np.array([[3, 1, 0]])) == 0.75


@pytest.mark.parametrize("size", [7, FEW, FEW + 1])
def test_counts_are_those_sums(size: int) -> None:
    rng = np.random.default_rng(0)
    index, counted = rng.integers(0, size - 1, 500), rng.random(500) < 0.5
    weights = rng.multinomial(500, np.full(500, 1 / 500), 40).astype(np.float64)
    assert np.array_equal(counts_by(index, weights, size), sums_by(index, weights, size))
    found = counts_by(index, weights, size, counted)
    assert np.array_equal(found, sums_by(index, weights * counted, size)) and found.sum() > 0


def test_sums_by() -> None:
    sums = sums_by(np.array([0, 2, 2]), np.array([[1.0, 2, 3], [0, 1, 1]]), 4)
    assert sums.tolist() == [[1, 0, 5, 0], [0, 0, 2, 0]]


def test_log_loss_is_bounded_and_in_nats() -> None:
    losses = log_losses(np.array([[0.5, 0.5], [1, 0]], np.float32), np.array([0, 1]))
    assert losses == pytest.approx([np.log(2), 15.942385])


def test_calibration_error_by_hand() -> None:
    # Two pictures at 0.9, one right: |0.5 - 0.9|; two at 0.6, both right: |1 - 0.6|.
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]], np.float32)
    labels = np.array([0, 1, 0, 0])
    metric = CalibrationError(higher_is_better=False, bins=15)
    assert metric.weighted(probabilities, labels, np.ones((1, 4))) == pytest.approx(0.4)
    assert bin_of(np.array([0, 0.5, 1], np.float32), 2).tolist() == [0, 1, 2]


def test_default_configuration_builds() -> None:
    evaluation = build(composed()["evaluation"], Evaluation, "evaluation")
    assert list(evaluation.metrics) == [
        "top1", "top5", "balanced_accuracy", "macro_f1", "log_loss", "ece",
    ]  # fmt: skip
    assert list(evaluation.metrics_for(3)) == [n for n in evaluation.metrics if n != "top5"]
