"""LogME against the evidence written out; scores on one footing; what rankings are worth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from graftwork.advising.levelled import Footing, behind
from graftwork.advising.logme import evidence, logme
from graftwork.advising.rankings import agreements


@pytest.mark.parametrize("shape", [(12, 5), (7, 20)])
def test_evidence_is_that_of_the_gaussian_it_stands_for_and_the_largest(shape) -> None:
    random = np.random.default_rng(0)
    features, target = random.normal(size=shape), random.normal(size=shape[0])
    target += features[:, 0]
    left, singular, _ = np.linalg.svd(features, full_matrices=False)
    found, prior, noise = evidence(left.T @ target, target, singular**2, shape[1])

    def direct(prior: float, noise: float) -> float:
        covariance = np.eye(shape[0]) / noise + features @ features.T / prior
        return multivariate_normal(np.zeros(shape[0]), covariance).logpdf(target) / shape[0]

    assert found == pytest.approx(direct(prior, noise), rel=1e-6)
    for one, other in ((1.3, 1), (0.7, 1), (1, 1.3), (1, 0.7)):
        assert direct(prior * one, noise * other) < found + 1e-6


def test_features_that_tell_classes_have_more_of_it() -> None:
    random, labels = np.random.default_rng(0), np.arange(60) % 3
    noise = random.normal(size=(60, 8))
    told = noise + 3 * np.eye(3, 8)[labels]
    assert logme(told, labels, 3) > logme(noise, labels, 3) + 0.1


def test_an_easy_part_does_not_raise_a_score() -> None:
    probe = np.repeat([1.0, 0.0], 50)  # right on the easy half alone
    none, more = np.zeros(100), np.full(100, np.nan)
    none[50:], more[50:] = np.nan, 0.2  # one is judged on the easy half, the other on the hard one
    footing = Footing(np.stack([probe] * 4), np.stack([np.zeros(100), none, more, more * np.nan]))
    scores = footing.scores()
    assert scores[:3] == pytest.approx([0.5, 0.5, 0.7]) and np.isnan(scores[3])
    gap, error = behind(scores, footing.drawn(0), 2, 0)
    assert gap == pytest.approx(0.2) and error == pytest.approx(0, abs=1e-9)


def test_a_ranking_that_agrees_is_told_from_one_that_does_not() -> None:
    random, truth = np.random.default_rng(0), np.linspace(0.3, 0.9, 8)
    right = (random.random((8, 400)) < truth[:, None]).astype(float)
    rankings = {
        "same": truth, "opposite": -truth, "unknown": np.full(8, np.nan),
        "of two": np.where(np.arange(8) < 2, truth, np.nan),
    }  # fmt: skip
    footing = Footing(right, np.zeros_like(right))
    agreed = agreements(rankings, footing.scores(), footing.drawn(0), 0)
    found = {one.ranking: one for one in agreed}
    assert set(found) == {"same", "opposite"}
    same = found["same"]
    assert same.tau == pytest.approx(1) and same.low > 0 and same.count == 8
    assert found["opposite"].tau == pytest.approx(-1) and found["opposite"].high < 0
