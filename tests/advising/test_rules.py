"""The rules as a table: what is known, and what is decided."""

from __future__ import annotations

import pytest

from graftwork.advising import rules
from graftwork.advising.rules import PROBE, Standing, Training, Way

A, B, C, D, E = (Way(name, 128, "lp_ft") for name in "abcde")
EPOCHS = {"lp_ft": 12}


def seconds(training: Training) -> float:
    """Ten an epoch."""
    return 10.0 * training.epochs


@pytest.mark.parametrize(
    ("own", "found"),
    [(224, (128, 224)), (240, (128, 240)), (260, (160, 260)), (112, (64, 112)), (64, (64,)),
     (32, (32,))],
)  # fmt: skip
def test_sizes(own: int, found: tuple[int, ...]) -> None:
    assert rules.sizes(own) == found


@pytest.mark.parametrize(
    ("forecast", "training", "spent", "begins"),
    [
        (30, 10, 30, True),
        (31, 10, 30, False),  # more than two thirds
        (10, 60, 20, True),
        (11, 60, 20, False),  # else no training fits
        (60, 80, 30, True),  # none fits anyway
        (61, 80, 30, False),
    ],
)
def test_probes_leave_time_for_a_training(
    forecast: float, training: float, spent: float, begins: bool
) -> None:
    assert rules.may_probe(forecast, training, spent, 90) is begins


def test_the_order_merges_what_probes_say_and_how_good_a_strategy_usually_is() -> None:
    probes = [(Way("a", 128, PROBE), 0.7), (Way("b", 128, PROBE), 0.8)]
    found = [(way.network, way.strategy) for way in rules.order(probes, ("lp_ft", "fine_tune"))]
    assert found == [("b", "lp_ft"), ("a", "lp_ft"), ("b", "fine_tune"), ("a", "fine_tune")]


@pytest.mark.parametrize(
    ("short", "whole", "left", "found"),
    [
        ({}, [], 1000, Training(A, 3)),  # a quarter of the epochs first
        ({A: 0.5}, [], 1000, Training(B, 3)),
        ({A: 0.5}, [], 149, Training(A, 12)),  # else there were no time for any whole training
        ({A: 0.5}, [], 150, Training(B, 3)),
        ({}, [], 119, None),  # too little for one
        ({A: 0.5, B: 0.6, C: 0.4}, [], 1000, Training(D, 3)),
        ({A: 0.5, B: 0.6, C: 0.4, D: 0.3}, [], 1000, Training(B, 12)),  # the best quarter
        ({A: 0.5, B: 0.6, C: 0.4, D: 0.3}, [B], 1000, Training(E, 3)),
        ({A: 0.5, B: 0.6, C: 0.4, D: 0.3}, [B], 29, None),
        (dict.fromkeys((A, B, C, D, E), 0.5) | {C: 0.6}, [C], 1000, Training(A, 12)),
        (dict.fromkeys((A, B, C, D, E), 0.5), [A, B, C, D, E], 1000, None),
    ],
)
def test_halving_within_a_budget(
    short: dict[Way, float], whole: list[Way], left: float, found: Training | None
) -> None:
    decided = rules.next_training([A, B, C, D, E], short, whole, EPOCHS, left, seconds)
    assert decided == found


def test_a_whole_training_that_does_not_fit_makes_room_for_one_that_does() -> None:
    def forecast(training: Training) -> float:
        return (50.0 if training.way is A else 1.0) * training.epochs

    decided = rules.next_training([A, B], {A: 0.6, B: 0.5}, [], EPOCHS, 100, forecast)
    assert decided == Training(B, 12)


def standing(name: str, behind: float, error: float, cost: float) -> Standing:
    return Standing(Way(name, 128, "lp_ft"), 0.9 - behind, behind, error, cost)


@pytest.mark.parametrize(
    ("others", "chosen", "runner_up"),
    [
        ([], "best", None),
        ([("other", 0.004, 0.01, 10)], "other", "best"),  # as good, and cheaper
        ([("other", 0.004, 0.01, 200)], "best", "other"),  # as good, and dearer
        ([("other", 0.02, 0.03, 10)], "best", "other"),  # within an error, but two points
        ([("other", 0.004, 0.002, 10)], "best", "other"),  # a clear difference
        ([("far", 0.1, 0.01, 1), ("near", 0.03, 0.01, 1)], "best", "near"),
    ],
)
def test_the_cheaper_of_equals_is_chosen(
    others: list[tuple[str, float, float, float]], chosen: str, runner_up: str | None
) -> None:
    found, second = rules.choice([standing("best", 0, 0, 100), *(standing(*o) for o in others)])
    assert found.way.network == chosen
    assert (second.way.network if second else None) == runner_up


def test_why_a_way_was_ruled_out() -> None:
    best, close = standing("best", 0, 0, 10), standing("close", 0.004, 0.01, 20)
    assert "takes longer" in rules.why_not(close, best)
    assert "10.0 points behind" in rules.why_not(standing("far", 0.1, 0.01, 1), best)


def test_null_models_and_rankings_need_more_than_luck() -> None:
    assert rules.is_beyond(0.05, 0.02) and not rules.is_beyond(0.03, 0.02)
    assert rules.is_believed(0.01) and not rules.is_believed(-0.2)
