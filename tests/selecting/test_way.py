from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from graftwork.metrics.log_loss import log_losses
from graftwork.metrics.softmax import softmax
from graftwork.selecting.tempered import best_tempered
from graftwork.selecting.way import chosen_point

SHARES = [0.0, 0.5, 1.0]
LABELS = np.arange(100) % 3


def answers(right: int, first: int = 0, sure: float = 3.0, off: float = 3.0) -> np.ndarray:
    """Probabilities of 100 pictures, of which so many from `first` on are recognised.

    Args:
        sure: logit of the right class above the next one's, where it is recognised.
        off: below it, where it is not.
    """
    hit = (np.arange(100) >= first) & (np.arange(100) < first + right)
    logits = np.full((100, 3), -9.0)
    logits[np.arange(100), LABELS] = 0
    logits[np.arange(100), (LABELS + 1) % 3] = np.where(hit, -sure, off)
    return softmax(logits)


def loss(found: np.ndarray) -> float:
    return float(log_losses(found, LABELS).mean())


def tempered(found: np.ndarray, labels: np.ndarray = LABELS) -> float:
    return float(best_tempered(found, labels).mean())


def share(*points: np.ndarray) -> float:
    chosen, told = chosen_point(SHARES, points, LABELS)
    assert [point.share for point in told if point.chosen] == [chosen]
    return chosen


@pytest.mark.parametrize("best", range(3))
def test_a_clear_winner_is_taken_however_high_its_log_loss(best: int) -> None:
    points = [answers(60, off=0.1)] * 3
    points[best] = answers(80)
    assert tempered(points[best]) > tempered(answers(60, off=0.1))
    assert share(*points) == SHARES[best]


@pytest.mark.parametrize("lower", range(3))
def test_within_a_standard_error_the_lowest_log_loss_is_taken(lower: int) -> None:
    """82 against 80 of a hundred, eight of which only one of the two knows."""
    points = [answers(82)] * 3
    points[lower] = answers(80, first=5, off=0.1)
    assert share(*points) == SHARES[lower]


def test_the_standard_error_is_that_of_the_difference() -> None:
    """82 against 80 again, but whatever the second knows the first knows too."""
    assert share(answers(80, off=0.1), answers(82), answers(80, off=0.1)) == 0.5


def test_modest_weights_are_not_blamed_for_it() -> None:
    modest, loud = softmax(np.log(answers(80, off=0.5)) / 4), answers(80, off=1.5)
    assert loss(modest) > loss(loud)
    assert share(loud, modest, loud) == 0.5 and share(modest, loud, loud) == 0.0


def test_the_probe_is_kept_where_training_is_no_better() -> None:
    probe = answers(80)
    assert share(probe, probe.copy(), probe.copy()) == 0.0
    assert share(probe, answers(60), answers(40)) == 0.0


def test_the_probe_is_left_only_for_what_is_better_beyond_chance() -> None:
    """82 of a hundred against 80, eight of which only one of the two knows, at equal losses."""
    probe, trained = answers(80, first=5), answers(82)
    assert share(trained, probe, probe) == share(probe, trained, trained) == 0.0
    assert share(probe, answers(90), probe) == 0.5, "top-1 speaks for it"
    surer = answers(82, off=0.1)
    assert share(probe, surer, probe) == 0.5, "log loss speaks for it"
    assert chosen_point([0.5, 1.0], [probe, surer], LABELS)[0] == 1.0, "no probe, none is kept"


def test_without_held_out_pictures_the_whole_way_is_gone() -> None:
    nothing = [np.zeros((0, 3))] * 3
    assert chosen_point(SHARES, nothing, LABELS[:0]) == (1.0, [])


def test_of_one_picture_the_point_that_knows_it_is_taken() -> None:
    known, unknown = np.array([[0.6, 0.4, 0]]), np.array([[0.4, 0.6, 0]])
    assert chosen_point(SHARES, [unknown, known, unknown], np.zeros(1, int))[0] == 0.5


def test_what_is_told_of_each_point() -> None:
    points = [answers(70), answers(90), answers(50)]
    _, told = chosen_point(SHARES, points, LABELS)
    assert [(point.share, point.top1, point.chosen) for point in told] == [
        (0.0, 0.7, False), (0.5, 0.9, True), (1.0, 0.5, False),
    ]  # fmt: skip
    assert [point.log_loss for point in told] == pytest.approx([loss(found) for found in points])


def random_logits(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return 1.5 * np.eye(3)[LABELS] + random.normal(size=(100, 3))


@pytest.mark.parametrize("factor", [0.5, 2.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_tempered_log_loss_knows_no_temperature(seed: int, factor: float) -> None:
    logits = random_logits(seed)
    one, other = (tempered(softmax(k * logits)) for k in (1, factor))
    assert one == pytest.approx(other, rel=1e-5)
    assert abs(loss(softmax(factor * logits)) - loss(softmax(logits))) > 0.005


@pytest.mark.parametrize("seed", range(3))
def test_the_temperature_is_the_best_one(seed: int) -> None:
    logits = random_logits(seed)
    best = minimize_scalar(
        lambda at: loss(softmax(logits / at)), bounds=(0.25, 4), method="bounded"
    ).fun
    assert tempered(softmax(logits)) == pytest.approx(best, rel=1e-3)


def test_a_probability_of_zero_costs_a_finite_loss() -> None:
    assert 2 < tempered(np.array([[1.0, 0.0]]), np.ones(1, int)) < 30
