"""The rules as a table: what is known, and what is decided."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from graftwork.advising import rules
from graftwork.advising.rules import GAINS, PROBE, Beliefs, Standing, Way, log_odds, noise_of

WAYS = [Way(net, px, name) for net in "ab" for px in (48, 64) for name in (PROBE, "lp_ft", "lora")]
SPREAD = {"side": 0.2, "network": 0.5, "trained": 0.3, "strategy": 0.2, "way": 0.1}
GAIN = replace(GAINS, strategies={"lp_ft": 0.4, "fine_tune": 0.2}, doubling=0.5, **SPREAD)
PRIOR = rules.before(WAYS, GAIN)


def row(network: str, size: int, strategy: str) -> int:
    return WAYS.index(Way(network, size, strategy))


@pytest.mark.parametrize(
    ("own", "found"),
    [(224, (128, 224)), (240, (128, 240)), (260, (160, 260)), (112, (64, 112)), (64, (64,)),
     (32, (32,))],
)  # fmt: skip
def test_sizes(own: int, found: tuple[int, ...]) -> None:
    assert rules.sizes(own) == found


def test_before_anything_is_measured_usual_gains_are_expected() -> None:
    probe, trained = row("a", 64, PROBE), row("a", 64, "lp_ft")
    assert PRIOR.mean[trained] - PRIOR.mean[probe] == pytest.approx(0.4)
    assert PRIOR.mean[row("a", 64, "lora")] - PRIOR.mean[probe] == pytest.approx(0.3)  # the mean
    less = PRIOR.mean[row("a", 48, PROBE)] - PRIOR.mean[probe]
    assert less == pytest.approx(0.5 * np.log2(48 / 64))
    ahead, error = PRIOR.behind(trained, probe)
    assert 0 < ahead < 0.1 and 0.05 < error < 0.15
    heads = rules.before(WAYS, GAIN, [PROBE, "lora"])
    assert heads.mean[row("a", 64, "lora")] == heads.mean[probe], "nothing is trained"


def test_a_probe_tells_of_ways_that_were_never_tried() -> None:
    seen = [row("a", 48, PROBE), row("b", 48, PROBE)]
    after = PRIOR.after(seen, np.array([0.0, 1.0]), np.diag([0.04, 0.04]))
    best, other = row("b", 64, "lp_ft"), row("a", 64, "lp_ft")
    assert after.mean.argmax() == best
    assert 0 < after.mean[best] - after.mean[other] < 1, "weighed with what is usual"
    assert after.mean[best] > 1.3, "its probe, half an octave, and what lp_ft gains"
    assert np.all(np.diag(after.covariance) < np.diag(PRIOR.covariance))
    assert after.share(best, -2) < after.share(best) < after.share(best, 2)


def test_updates_weigh_by_precision() -> None:
    """Normal-normal: one way, prior variance 1, noise 0.25."""
    one = Beliefs(np.zeros(1), np.ones((1, 1))).after([0], np.ones(1), np.full((1, 1), 0.25))
    assert one.mean == pytest.approx([0.8])
    assert one.covariance == pytest.approx(np.full((1, 1), 0.2))


def test_pictures_that_two_ways_share_tell_their_difference() -> None:
    random = np.random.default_rng(0)
    shared = random.normal(0.5, 0.1, (400, 1)).clip(0.05, 0.95)
    noise = noise_of(np.hstack([shared, shared]), np.array([24, 24]))
    assert noise[0, 1] > 0.5 * noise[0, 0]
    assert noise[0, 0] + noise[1, 1] - 2 * noise[0, 1] > 0, "equal on 24 photos is not equal"
    alike = noise_of(np.ones((10, 1)), np.array([24]))
    assert alike[0, 0] > 1, "all of 24 right says little of the odds"
    assert np.isfinite(log_odds(np.array([0.0, 1.0]), 24)).all()


def test_what_may_change_the_choice_is_worth_measuring() -> None:
    known = PRIOR.after([row("a", 64, PROBE)], np.zeros(1), np.full((1, 1), 1e-6))
    other, again = row("b", 64, PROBE), row("a", 64, PROBE)
    assert known.worth(other, 200) > 10 * known.worth(again, 200)
    assert known.worth(other, 200) > known.worth(other, 5) > 0


@pytest.mark.parametrize(
    ("seconds", "left", "found"),
    [
        ({0: 5.0, 1: 5.0}, 10.0, 1),  # what it knows nothing of
        ({0: 5.0, 1: 5e5}, 1e6, 0),  # not at any price
        ({0: 5.0, 1: 11.0}, 10.0, 0),  # it would not end in time
        ({0: 11.0, 1: 11.0}, 10.0, None),
        ({}, 10.0, None),
    ],
)
def test_next_is_what_tells_most_a_second(
    seconds: dict[int, float], left: float, found: int | None
) -> None:
    beliefs = Beliefs(np.zeros(2), np.diag([0.1, 1.0]))
    assert rules.next_way(beliefs, seconds, dict.fromkeys(seconds, 100.0), left) == found


def standing(name: str, score: float, cost: float = 1.0, tried: bool = True) -> Standing:
    return Standing(Way(name, 128, "lp_ft"), score, 0.0, 1.0, 0.9 - score, 0.01, cost, tried)


def test_the_highest_expectation_is_chosen_tried_or_not() -> None:
    known, better = standing("known", 0.8), standing("better", 0.85, tried=False)
    assert rules.choice([known, better]) == (better, known)
    cheap = standing("cheap", 0.85, cost=0.5)
    assert rules.choice([known, better, cheap]) == (cheap, better)
    assert rules.choice([known]) == (known, None)


def test_null_models_and_rankings_need_more_than_luck() -> None:
    assert rules.is_beyond(0.05, 0.02) and not rules.is_beyond(0.03, 0.02)
    assert rules.is_believed(0.01) and not rules.is_believed(-0.2)
