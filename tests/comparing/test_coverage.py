"""Of systems that are equally good 95 % intervals hold zero, and Holm claims little: simulated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graftwork.comparing.pairs import pairs, systems
from graftwork.comparing.recorded import Recorded
from graftwork.metrics.paired import mean_over

TIMES, PICTURES, CONFIDENCE = 1000, 661, 0.95


def answers(
    numbers: np.random.Generator, count: int, seeds: int, between: float, pictures: int = PICTURES
) -> np.ndarray:
    """Which pictures each system recognises with each seed, bool `[count, seeds, pictures]`.

    Pictures are of their own difficulty, the same for all; trainings with other seeds are better
    or worse all over, by so many logits; the systems do not differ.
    """
    difficulty = numbers.normal(1.5, 2, pictures) + between * numbers.normal(size=(count, seeds, 1))
    return numbers.random((count, seeds, pictures)) < 1 / (1 + np.exp(-difficulty))


@pytest.mark.parametrize(
    ("seeds", "between"), [(1, 0.0), (2, 0.0), (2, 0.2), (2, 1.0), (3, 0.0), (3, 0.5), (5, 0.2)]
)
def test_intervals_of_a_difference_that_is_none_hold_zero(seeds: int, between: float) -> None:
    assert 0.93 <= held(seeds, between) <= 0.97


def test_two_seeds_of_few_pictures_claim_too_little_rather_than_too_much() -> None:
    assert held(2, 0.1, pictures=60) > 0.97


def held(seeds: int, between: float, pictures: int = PICTURES) -> float:
    numbers, held = np.random.default_rng(0), 0
    for _ in range(TIMES):
        one, other = answers(numbers, 2, seeds, between, pictures).astype(float)
        found = mean_over(one - other, CONFIDENCE)
        held += found.low <= 0 <= found.high
    return held / TIMES


@pytest.mark.parametrize("seeds", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_one_false_claim_among_all_pairs_is_as_rare_as_holm_says(seeds: int) -> None:
    numbers, false = np.random.default_rng(0), 0
    for _ in range(TIMES):
        table = answers(numbers, 3, seeds, 0.0)
        runs = [
            Recorded(f"{name} {seed}", {"name": f"{name}", "seed": f"{seed}"}, Path(), b"", row, {})
            for name, rows in enumerate(table)
            for seed, row in enumerate(rows)
        ]
        false += any(pair.is_told for pair in pairs(systems(runs, CONFIDENCE), CONFIDENCE))
    assert false / TIMES <= 0.05
