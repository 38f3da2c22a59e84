"""Regret of the adviser: what is compared with what."""

from __future__ import annotations

import numpy as np

from benchmarks import advise
from benchmarks.advise import Outcome, Table, verdicts, written
from benchmarks.advise_gains import fitted
from benchmarks.tasks import TASKS
from graftwork.advising.rules import GAINS, PROBE, Way, before

WAYS = {
    Way("efficientnet_lite0", 64, "linear_probe"): (0.70, 0.75),
    Way("efficientnet_lite0", 64, "lp_ft"): (0.80, 0.90),
    Way("efficientnet_lite0", 64, "fine_tune"): (0.79, 0.85),
    Way("mobilenetv2", 64, "linear_probe"): (0.72, 0.70),
    Way("mobilenetv2", 64, "lp_ft"): (0.84, 0.80),
}


def outcome(network: str = "mobilenetv2", took: float = 1.0) -> Outcome:
    top1, held = ({way: pair[at] for way, pair in WAYS.items()} for at in (0, 1))
    table = Table(TASKS[0], top1, held, {}, 100.0)
    return Outcome(table, Way(network, 64, "lp_ft"), False, took, {"LogME": 0.5})


def test_regret_is_what_each_choice_is_behind_the_best() -> None:
    found = [round(100 * value, 1) for value in outcome("efficientnet_lite0").regrets()]
    # The adviser; lite0, which is better on ImageNet; a random way; the best held-out scores.
    assert found == [4.0, 4.0, 5.0, 7.0, 4.0, 14.0]


def test_verdicts_and_page() -> None:
    assert [one.met for one in verdicts([outcome()])] == [True, True, True]
    late = verdicts([outcome("efficientnet_lite0", 1.2)])
    assert [one.met for one in late] == [False, True, False]
    text = written([outcome(), outcome("efficientnet_lite0")])
    row = (
        "| groceries_fine | lp_ft mobilenetv2 64 | 84.0 | lp_ft efficientnet_lite0 64, not trained "
        "| 4.0 | 4.0 |"
    )
    assert row in text and "| **median** |  |  |  | 2.0 |" in text
    assert "| groceries_fine | +0.50 |" in text


def test_every_way_of_a_network_is_a_job() -> None:
    found = [job.own for job in advise.jobs(TASKS[0], "mobilenetv2")]
    assert len(found) == 6 and (("model.input_size", "48"), ("transfer", "lp_ft")) in found


def test_gains_are_found_again_in_tables_that_were_drawn_from_them() -> None:
    ways = [
        Way(word, px, name)
        for word in GAINS.networks
        for px in (48, 64)
        for name in (PROBE, *GAINS.strategies)
    ]
    prior, random = before(ways, GAINS), np.random.default_rng(0)
    drawn = random.multivariate_normal(prior.mean, prior.covariance, 12)
    chance = random.random((12, 1, 10_000))  # a picture is as hard for all ways
    right = chance < 1 / (1 + np.exp(-drawn[..., None]))
    found = fitted([dict(zip(ways, table, strict=True)) for table in right])
    for name, gain in GAINS.strategies.items():
        assert abs(found.strategies[name] - gain) < 0.1
    assert abs(found.doubling - GAINS.doubling) < 0.2 and 0.05 <= found.way < 0.15
