from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from graftwork.selecting import luck


def write(path: Path, right: np.ndarray, first: str = "0") -> Path:
    """predictions.parquet of pictures that were recognised or not."""
    names = [first, *map(str, range(1, len(right)))]
    predicted = np.where(right, "cat", "dog")
    pd.DataFrame({"sha256": names, "class": "cat", "predicted": predicted}).to_parquet(path)
    return path


def test_the_expected_largest_of_normal_values():
    # Of one, two and three values in closed form; of ten and a hundred by Teichroew (1956).
    assert luck.expected_lead(1) == pytest.approx(0, abs=1e-9)
    assert luck.expected_lead(2) == pytest.approx(1 / np.sqrt(np.pi), abs=1e-5)
    assert luck.expected_lead(3) == pytest.approx(1.5 / np.sqrt(np.pi), abs=1e-5)
    assert luck.expected_lead(10) == pytest.approx(1.53875, abs=1e-5)
    assert luck.expected_lead(100) == pytest.approx(2.50759, abs=1e-5)
    draws = np.random.default_rng(0).normal(size=(20_000, 30)).max(axis=1)
    assert luck.expected_lead(30) == pytest.approx(draws.mean(), abs=4 * draws.std() / 20_000**0.5)


def test_the_standard_error_is_read_off_the_interval():
    assert luck.standard_error(0.7, 0.9, 0.95) == pytest.approx(0.2 / 3.91993, rel=1e-5)
    ends = [(0.7, 0.9)] * 10
    assert luck.independent_lead(ends, 0.95) == pytest.approx(1.53875 * 0.2 / 3.91993, rel=1e-4)


def simulated(count: int, pictures: int, shared: float, seed: int) -> np.ndarray:
    """Answers `[count, pictures]` of equally good networks; `shared` of all pictures are alike."""
    draw = np.random.default_rng(seed)
    alike = draw.random(pictures) < shared
    one, own = draw.random((1, pictures)) < 0.8, draw.random((count, pictures)) < 0.8
    return np.where(alike, one, own)


@pytest.mark.parametrize("shared", [0.0, 0.7])
def test_the_paired_lead_is_that_of_simulated_sweeps(tmp_path, shared):
    count, pictures, sweeps = 8, 400, 400
    leads = []
    for seed in range(sweeps):
        scores = simulated(count, pictures, shared, seed).mean(axis=1)
        leads.append(scores.max() - scores.mean())
    found = []
    for seed in range(12):
        answers = simulated(count, pictures, shared, 10_000 + seed)
        files = [write(tmp_path / f"{n}.parquet", right) for n, right in enumerate(answers)]
        found.append(luck.paired_lead(files))
    error = 4 * np.std(leads) / sweeps**0.5
    assert np.mean(found) == pytest.approx(np.mean(leads), abs=error + 0.03 * np.mean(leads))
    unpaired = luck.expected_lead(count) * (0.8 * 0.2 / pictures) ** 0.5
    assert (np.mean(found) < 0.7 * unpaired) == (shared > 0)  # what scores share is no luck


def test_other_pictures_are_not_paired(tmp_path):
    right = np.arange(50) % 4 > 0
    one = write(tmp_path / "one", right)
    assert luck.paired_lead([one]) is None
    assert luck.paired_lead([one, write(tmp_path / "other", right, first="x")]) is None
    assert luck.paired_lead([one, write(tmp_path / "fewer", right[:49])]) is None
    assert luck.paired_lead([one, write(tmp_path / "same", right)]) == 0


def test_a_true_difference_is_no_luck(tmp_path):
    """Every answer of one is right and every one of the other wrong: nothing is left to chance."""
    files = [write(tmp_path / str(value), np.full(60, value)) for value in (True, False)]
    assert luck.paired_lead(files) == pytest.approx(0, abs=1e-9)
