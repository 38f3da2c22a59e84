"""What to expect of new pictures, from how sure a model is of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from graftwork.selecting.asked import asked
from graftwork.selecting.expected import EXPECTED, as_chosen, expected_top1, selection_score
from graftwork.selecting.tempered import TEMPERATURES, best_tempered, confidences, log_losses

OPTIONS = {"samples": 400, "confidence": 0.95, "seed": 0}


def pictures(
    count: int, clear: float, seed: int, modest: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of four classes, and labels that are drawn from them.

    Args:
        clear: how far apart the logits are.
        modest: temperature at which probabilities are told.
    """
    draws = np.random.default_rng(seed)
    logits = clear * draws.normal(0, 1, (count, 4))
    labels = np.array([draws.choice(4, p=row) for row in softmax(logits, axis=1)])
    return softmax(logits / modest, axis=1), labels


@pytest.mark.parametrize("modest", [0.5, 1.0, 2.0])
def test_fewer_new_pictures_are_expected_to_be_recognised_where_they_are_less_clear(
    modest: float,
) -> None:
    """Whatever the model's own temperature: sure of itself, honest, modest."""
    held_out, labels = pictures(2000, 4.0, 0, modest)
    new, unseen = pictures(2000, 1.0, 1, modest)
    right, truth = ((p.argmax(1) == y).mean() for p, y in ((held_out, labels), (new, unseen)))
    assert right > truth + 0.2
    found = expected_top1(held_out, labels, new, **OPTIONS)
    assert found.value == pytest.approx(truth, abs=0.04)
    assert found.low < found.value < found.high < right
    assert found == expected_top1(held_out, labels, new, **OPTIONS)


def test_its_interval_is_of_the_chance_of_both_kinds_of_pictures() -> None:
    """One time in twenty, of drawings of all pictures anew, the truth may lie outside."""
    truth = np.mean([(p.argmax(1) == y).mean() for p, y in [pictures(200_000, 1.0, 9)]])
    inside = []
    for seed in range(60):
        held_out, labels = pictures(150, 3.0, 100 + seed)
        new, _ = pictures(150, 1.0, 500 + seed)
        found = expected_top1(held_out, labels, new, **OPTIONS)
        inside.append(found.low <= truth <= found.high)
    assert np.mean(inside) >= 0.85


def test_losses_and_confidences_at_every_temperature() -> None:
    probabilities, labels = pictures(5, 2.0, 3)
    for row, temperature in enumerate(TEMPERATURES):
        scaled = softmax(np.log(probabilities) / temperature, axis=1)
        np.testing.assert_allclose(
            log_losses(probabilities, labels)[row], -np.log(scaled[np.arange(5), labels])
        )
        np.testing.assert_allclose(confidences(probabilities)[row], scaled.max(1))
    means = log_losses(probabilities, labels).mean(1)
    assert best_tempered(probabilities, labels).mean() == means.min()


def test_what_chooses_is_the_expectation_where_there_is_one() -> None:
    held_out, new = {"value": 0.9}, {"value": 0.8}
    assert selection_score({"top1": held_out, EXPECTED: new}) == new
    assert selection_score({"top1": held_out}) == held_out
    assert selection_score({}) == {} == as_chosen({})
    assert as_chosen({"top1": held_out, EXPECTED: new})["top1"] == new


def test_pictures_that_are_asked_about_are_spread_evenly() -> None:
    assert asked(5, 9).tolist() == [0, 1, 2, 3, 4]
    assert asked(9, 3).tolist() == [0, 4, 8]
