"""Who is better, and is it luck: by hand, by scipy, and by simulation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graftwork.comparing.pairs import mcnemar, pairs, pictures_needed, systems
from graftwork.comparing.recorded import Recorded
from graftwork.config.errors import UserError


def run(right: np.ndarray, strategy: str, seed: int = 0, pictures: bytes = b"p") -> Recorded:
    word = f"runs/{strategy}-{seed}"
    params = {"model.name": "net", "transfer.name": strategy, "seed": str(seed)}
    params["tracking.experiment"] = word  # says nothing of what the run is
    return Recorded(word, params, Path(word), pictures, right, {"run_id": word})


def right(share: float, n: int = 400, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(n) < share


def test_mcnemars_exact_p() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 0) == pytest.approx(2 * 0.5**5)
    assert mcnemar(9, 1) == pytest.approx(2 * 11 / 2**10)
    assert mcnemar(3, 7) == mcnemar(7, 3)


def test_pictures_needed_by_hand() -> None:
    differences = np.repeat([1.0, -1.0, 0.0], [30, 20, 50])  # mean 0.1, deviation 0.7
    z = 1.959964 + 0.841621
    assert pictures_needed(differences, 0.95) == int(np.ceil((z * 0.7 / 0.1) ** 2))
    assert pictures_needed(np.array([1.0, -1.0]), 0.95) is None


def test_seeds_of_one_configuration_are_one_system() -> None:
    runs = [run(right(0.8, seed=s), name, s) for name in ("a", "b") for s in (0, 1)]
    found = systems(runs, 0.95)
    assert [(one.name, one.seeds) for one in found] == [("a", ["0", "1"]), ("b", ["0", "1"])]
    assert found[0].top1.value == pytest.approx(np.mean([r.right for r in runs[:2]]))


@pytest.mark.parametrize(("wrong", "end"), [(1, "high"), (14, "low")])
def test_the_interval_of_a_score_ends_where_scores_do(wrong: int, end: str) -> None:
    (found,) = systems([run(np.arange(15) >= wrong, "a")], 0.95)
    assert getattr(found.top1, end) == (1.0 if end == "high" else 0.0)
    assert found.top1.low < found.top1.value < found.top1.high


def test_the_same_seed_again_is_another_system() -> None:
    first, again = run(right(0.8), "a"), run(right(0.7), "a")
    again = Recorded("runs/later", again.params, again.predictions, b"p", again.right, {})
    assert len(systems([first, again], 0.95)) == 2


def test_a_pair_is_compared_on_the_seeds_that_both_have() -> None:
    a = [run(right(0.9, seed=s), "a", s) for s in (0, 1, 2)]
    b = [run(right(0.6, seed=s), "b", s) for s in (1, 2, 3)]
    (pair,) = pairs(systems([*a, *b], 0.95), 0.95)
    table = np.stack([a[1].right, a[2].right]) * 1.0 - np.stack([b[0].right, b[1].right])
    assert pair.gain.value == pytest.approx(table.mean()) and pair.is_told and pair.needed is None


def test_one_seed_each_has_mcnemars_p() -> None:
    ones = np.ones(50, bool)
    other = ones.copy()
    other[:9] = False
    ones[9] = False
    (pair,) = pairs(systems([run(ones, "a"), run(other, "b")], 0.95), 0.95)
    assert pair.p == mcnemar(9, 1) and pair.gain.value == pytest.approx(8 / 50)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            run(right(0.8), "b", pictures=b"q"),
            "runs/b-0 was tested on other pictures than runs/a-0",
        ),
        (
            Recorded("here", {}, Path("x"), b"p", right(0.8), {"run_id": "runs/a-0"}),
            "here and runs/a-0 are one and the same run",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(other: Recorded, message: str) -> None:
    with pytest.raises(UserError, match=message):
        systems([run(right(0.8), "a"), other], 0.95)


def test_equal_systems_are_seldom_told_apart() -> None:
    """The chance of one false claim among six pairs, by simulation: 5 % and three deviations."""
    told, trials = 0, 150
    for trial in range(trials):
        hard = np.random.default_rng(trial).random(150)  # the same pictures are hard for all
        runs = [
            run(np.random.default_rng([trial, k + 1]).random(150) < 0.5 + hard / 2, name)
            for k, name in enumerate("abcd")
        ]
        told += any(pair.is_told for pair in pairs(systems(runs, 0.95), 0.95))
    assert told / trials <= 0.05 + 3 * (0.05 * 0.95 / trials) ** 0.5
