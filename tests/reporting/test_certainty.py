from __future__ import annotations

import pytest

from graftwork.metrics.accuracy import TopK
from graftwork.metrics.log_loss import LogLoss
from graftwork.reporting.certainty import error_bound, no_width_note

METRICS = {"top1": TopK(True, 1), "log_loss": LogLoss(False)}


@pytest.mark.parametrize("n", [1, 2, 30, 10_000])
def test_at_the_bound_no_error_is_seen_once_in_twenty(n: int) -> None:
    assert 0 < error_bound(n) < 1
    assert (1 - error_bound(n)) ** n == pytest.approx(0.05)


def test_many_pictures_follow_the_rule_of_three() -> None:
    assert error_bound(100_000) == pytest.approx(3 / 100_000, rel=0.01)


def test_only_what_is_perfect_gets_a_bound() -> None:
    perfect = {"value": 1.0, "low": 1.0, "high": 1.0, "n": 1}
    assert "With 1 picture, an error rate of up to 95.0\u202f%" in no_width_note(
        {"top1": perfect}, METRICS
    )
    poor = {"value": 0.0, "low": 0.0, "high": 0.0, "n": 2}
    assert no_width_note({"top1": poor}, METRICS).endswith("That is no certainty.")
    assert no_width_note({"log_loss": perfect}, METRICS).endswith("That is no certainty.")
    usual = {"value": 1.0, "low": 0.5, "high": 1.0, "n": 2}
    assert no_width_note({"top1": usual, "since_removed": perfect}, METRICS) == ""
