from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from graftwork.metrics.paired import holm, mean_over


def test_one_seed_is_a_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    left, right = rng.random((2, 50)) < [[0.8], [0.6]]
    found = mean_over((left.astype(float) - right)[None], 0.9)
    known = stats.ttest_rel(left.astype(float), right.astype(float))
    low, high = known.confidence_interval(0.9)
    assert found.value == pytest.approx(left.mean() - right.mean())
    assert found.p == pytest.approx(known.pvalue)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_nothing_differs() -> None:
    found = mean_over(np.zeros((3, 10)), 0.95)
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)
    certain = mean_over(np.ones((3, 10)), 0.95)
    assert (certain.value, certain.low, certain.p) == (1, 1, 0)


def test_seeds_that_disagree_widen_the_interval() -> None:
    """Half a point more in one seed and less in the other: their mean says nothing."""
    pictures = np.random.default_rng(1).normal(0, 0.1, 400)
    agreeing = mean_over(np.stack([pictures + 0.05, pictures + 0.05]), 0.95)
    apart = mean_over(np.stack([pictures, pictures + 0.1]), 0.95)
    assert agreeing.value == pytest.approx(apart.value)
    assert agreeing.low > 0 > apart.low
    assert apart.high - apart.low > 10 * (agreeing.high - agreeing.low)


@pytest.mark.parametrize("of_seed", [0.0, 0.05])
def test_the_interval_of_what_p_leaves_just_reaches_zero(of_seed: float) -> None:
    rng = np.random.default_rng(3)
    table = rng.normal(0.1, 0.4, (3, 200)) + rng.normal(0, of_seed, (3, 1))
    p = mean_over(table, 0.95).p
    assert 0 < p < 1 and mean_over(table, 1 - p).low == pytest.approx(0, abs=1e-9)


def test_seeds_that_agree_to_the_picture_are_not_sure_of_it() -> None:
    """By hand: t of 2 degrees of freedom, 4.303, times sqrt(1 / 2 / 3) of a picture of 60."""
    table = np.zeros((3, 60))
    table[[0, 1, 2], [5, 6, 7]] = -1.0
    found = mean_over(table, 0.95)
    assert found.value == pytest.approx(-1 / 60) and found.p > 0.05
    assert found.high - found.value == pytest.approx(4.303 * (1 / 6) ** 0.5 / 60, rel=1e-3)


@pytest.mark.parametrize(
    ("seeds", "of_seed", "of_picture"),
    [(1, 0.0, 0.5), (2, 0.1, 0.0), (3, 0.0, 0.3), (3, 0.03, 0.3), (5, 0.05, 0.0)],
)
def test_intervals_of_identical_systems_hold_zero_as_often_as_they_say(
    seeds: int, of_seed: float, of_picture: float
) -> None:
    """Over 1,000 draws of pictures and seeds, 95 % intervals; a fixed draw, so no luck of a day."""
    rng = np.random.default_rng(0)
    holds = 0
    for _ in range(1000):
        table = rng.normal(0, 0.4, (seeds, 150))
        table += rng.normal(0, of_seed, (seeds, 1)) + rng.normal(0, of_picture, (1, 150))
        found = mean_over(table, 0.95)
        holds += found.low <= 0 <= found.high
    assert 930 <= holds <= 980


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_bounds_the_chance_of_a_false_claim() -> None:
    rng = np.random.default_rng(0)
    false = [min(holm(list(rng.random(8)))) <= 0.05 for _ in range(4000)]
    assert np.mean(false) == pytest.approx(0.05, abs=0.01)
