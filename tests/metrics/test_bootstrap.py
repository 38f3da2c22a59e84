"""Intervals: right in theory, the same for every chunking, bounded in memory."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from graftwork.metrics import bootstrap
from graftwork.metrics.accuracy import TopK
from graftwork.metrics.calibration import CalibrationError
from graftwork.metrics.log_loss import LogLoss

TOP1 = {"top1": TopK(higher_is_better=True, k=1)}


def coin(n: int, right: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two classes, each picture right with this probability."""
    hit = np.random.default_rng(seed).random(n) < right
    return np.where(hit[:, None], [[0.2, 0.8]], [[0.7, 0.3]]), np.ones(n, int)


def test_an_accuracy_agrees_with_the_binomial() -> None:
    probabilities, labels = coin(661, 0.8, 0)
    found = bootstrap.intervals(TOP1, probabilities, labels, samples=2000, confidence=0.95, seed=0)
    top1 = found["top1"]
    width = NormalDist().inv_cdf(0.975) * np.sqrt(top1.value * (1 - top1.value) / 661)
    assert top1.value == (probabilities[:, 1] > 0.5).mean()
    assert top1.low == pytest.approx(top1.value - width, abs=0.004)
    assert top1.high == pytest.approx(top1.value + width, abs=0.004)


def test_skewed_means_are_covered_as_often_as_promised() -> None:
    """Log loss of a heavy-tailed sample, where plain normal intervals are too low."""
    metric = {"log_loss": LogLoss(higher_is_better=False)}
    generator = np.random.default_rng(5)
    covered = 0
    for trial in range(200):
        losses = generator.exponential(1, 40)
        probabilities = np.stack([np.exp(-losses), 1 - np.exp(-losses)], axis=1)
        found = bootstrap.intervals(
            metric, probabilities, np.zeros(40, int), samples=400, confidence=0.95, seed=trial
        )
        covered += found["log_loss"].low <= 1 <= found["log_loss"].high
    assert covered / 200 > 0.9


def test_the_biased_calibration_error_is_corrected() -> None:
    """Calibrated predictions: resamples lie above the value, BCa brings the interval back."""
    generator = np.random.default_rng(2)
    confidence = generator.uniform(0.5, 1, 300)
    labels = (generator.random(300) > confidence).astype(int)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    metric = CalibrationError(higher_is_better=False, bins=15)
    weights = np.concatenate(list(bootstrap.resamples(300, 1000, 0)))
    drawn = metric.weighted(probabilities, labels, weights)
    found = bootstrap.intervals(
        {"ece": metric}, probabilities, labels, samples=1000, confidence=0.95, seed=0
    )["ece"]
    assert np.median(drawn) > found.value  # the bias
    assert found.low < found.value < found.high
    assert found.high < np.quantile(drawn, 0.975)


def test_the_seed_decides_and_the_chunks_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    probabilities, labels = coin(53, 0.7, 1)

    def run(seed: int) -> bootstrap.Interval:
        return bootstrap.intervals(
            TOP1, probabilities, labels, samples=150, confidence=0.9, seed=seed
        )["top1"]

    whole = run(3)
    monkeypatch.setattr(bootstrap, "WEIGHTS_AT_ONCE", 53 * 7)
    assert run(3) == whole
    drawn = [np.concatenate(list(bootstrap.resamples(53, 20, seed))) for seed in (3, 4)]
    assert (drawn[0] != drawn[1]).any()
    assert (drawn[0].sum(axis=1) == 53).all()


def test_memory_is_bounded_for_many_pictures() -> None:
    chunks = bootstrap.resamples(1_000_000, 2000, 0)
    assert next(chunks).size <= bootstrap.WEIGHTS_AT_ONCE
    assert len(list(bootstrap._chunks(200, 10_000_000))) == 200  # one row at a time


def test_jackknife_leaves_out_each_picture_once() -> None:
    weights = np.concatenate(list(bootstrap.jackknife(450, 200, 0)))
    assert weights.shape == (200, 450)
    assert ((weights == 0).sum(axis=0) == 1).all()


@pytest.mark.parametrize("n", [1, 2])
def test_hardly_any_pictures(n: int) -> None:
    probabilities, labels = np.tile([[0.1, 0.9]], (n, 1)), np.ones(n, int)
    found = bootstrap.intervals(TOP1, probabilities, labels, samples=100, confidence=0.95, seed=0)
    assert found["top1"] == bootstrap.Interval(1, 1, 1)


def test_the_interval_holds_the_value() -> None:
    drawn = np.linspace(2, 3, 100)
    found = bootstrap.bca(1.0, drawn, np.zeros(5), 0.95)
    assert found.low == 1.0
    assert found.high <= 3


def test_bca_is_the_one_of_scipy() -> None:
    """The same resamples and leave-one-out values must give the same interval."""
    from scipy import stats

    losses = np.random.default_rng(1).exponential(1, 30)
    reference = stats.bootstrap(
        (losses,), np.mean, n_resamples=500, method="BCa", rng=np.random.default_rng(0)
    )
    without = (losses.sum() - losses) / 29
    drawn = reference.bootstrap_distribution
    found = bootstrap.bca(float(losses.mean()), drawn, without, 0.95)
    assert (found.low, found.high) == pytest.approx(tuple(reference.confidence_interval))
    plain = np.quantile(drawn, (0.025, 0.975))
    assert found.low > plain[0]  # and not what plain percentiles give
    assert found.high > plain[1]
