"""What held-out pictures say of heads, and how sure these may be."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from graftwork.data.folds import NEVER, stratified
from graftwork.transfer.choosing import (
    choose,
    log_losses,
    one_standard_error,
    own_folds,
    sharpness,
    softmax,
)


def scores(n: int = 200, classes: int = 4, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    labels = random.integers(0, classes, n)
    return scale * (np.eye(classes)[labels] + random.normal(0, 0.7, (n, classes))), labels


def smoothed(factor: float, said: np.ndarray, labels: np.ndarray) -> float:
    """Cross-entropy against labels of which Platt's doubt is spread over all classes."""
    doubt, classes = 1 / (len(labels) + 2), said.shape[1]
    target = (1 - doubt) * np.eye(classes)[labels] + doubt / classes
    return float(-(target * np.log(softmax(factor * said).astype(float))).sum(1).mean())


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_the_sharpness_has_the_smallest_log_loss_whatever_the_unit(scale: float) -> None:
    said, labels = scores(scale=scale)
    found = sharpness(said, labels)
    peer = minimize_scalar(
        lambda log: smoothed(np.exp(log) / scale, said, labels), bounds=(-3, 4), method="bounded"
    )
    assert found * scale == pytest.approx(np.exp(peer.x), rel=1e-2)
    assert log_losses(found * said, labels).mean() < log_losses(said / scale, labels).mean()


def test_scores_that_are_always_right_are_not_certain() -> None:
    labels = np.arange(30) % 3
    found = sharpness(np.eye(3)[labels], labels)
    chances = softmax(found * np.eye(3)[labels])[np.arange(30), labels]
    assert chances == pytest.approx(1 - 2 / 3 / 32, abs=1e-6)


@pytest.mark.parametrize("said", [-np.eye(3)[np.arange(30) % 3], np.ones((30, 3))])
def test_of_scores_that_say_nothing_all_classes_are_alike(said: np.ndarray) -> None:
    assert sharpness(said, np.arange(30) % 3) == 0


def test_the_cautious_head_is_chosen_within_a_standard_error() -> None:
    said, labels = scores()
    fold = stratified(labels, 5, seed=0)
    bad = np.random.default_rng(1).normal(size=said.shape)
    slightly = said + np.random.default_rng(2).normal(0, 0.02, said.shape)
    found = choose([bad, slightly, said], labels, fold)
    assert found.index == 1
    assert found.top1 == (slightly.argmax(1) == labels).mean()
    logits = found.sharpness * slightly
    assert found.log_loss == pytest.approx(log_losses(logits, labels).mean())
    np.testing.assert_array_equal(found.probabilities, softmax(logits))


def test_rows_that_always_train_say_nothing() -> None:
    said, labels = scores()
    fold = stratified(labels, 5, seed=0)
    fold[:50] = NEVER
    other = said.copy()
    other[:50] = 1e9
    one, two = (choose([found], labels, fold) for found in (said, other))
    assert one.sharpness == two.sharpness and one.log_loss == two.log_loss
    assert np.isnan(two.probabilities[:50]).all() and not np.isnan(two.probabilities[50:]).any()


def test_a_better_mean_within_one_standard_error_is_chance() -> None:
    weak, strong = np.array([0.9, 1.1, 0.8, 1.2]), np.array([1.0, 1.2, 0.9, 1.2])
    error = weak.std(ddof=1) / 2
    assert weak.mean() < strong.mean() < weak.mean() + error
    assert one_standard_error([strong + 1, strong, weak]) == 1
    assert one_standard_error([strong + 1, strong + error, weak]) == 2


def test_folds_of_its_own_only_where_none_are_given() -> None:
    labels = np.arange(40) % 4
    given = stratified(labels, 3, seed=1)
    assert own_folds(given, labels, 0) is given
    own = own_folds(np.full(40, NEVER), labels, 0)
    assert set(own) == set(range(5))
