from __future__ import annotations

import pytest

from graftwork.metrics.accuracy import TopK
from graftwork.metrics.log_loss import LogLoss
from graftwork.reporting.score_words import Told, lines, told

TOP1, LOSS = TopK(higher_is_better=True, k=1), LogLoss(higher_is_better=False)
SCORE = {"value": 0.8426, "low": 0.813, "high": 0.871, "n": 661}


def test_shares_are_per_cent_and_losses_are_not() -> None:
    assert told(TOP1, SCORE) == Told("84.3\u202f%", "81.3 to 87.1\u202f%")
    assert told(LOSS, SCORE) == Told("0.843", "0.813 to 0.871")
    assert told(TOP1, {"value": 0.5}) == Told("50.0\u202f%", "")
    assert told(TOP1, None) is None and told(TOP1, {}) is None


def test_differences_have_signs() -> None:
    change = {"value": 0.023, "low": -0.004, "high": 0.05}
    assert told(TOP1, change, signed=True) == Told("+2.3\u202fpoints", "-0.4 to +5.0\u202fpoints")
    assert told(LOSS, change, signed=True) == Told("+0.023", "-0.004 to +0.050")


@pytest.mark.parametrize("absent", [None, {}])
def test_a_line_has_a_gap_where_there_is_no_score(absent: dict | None) -> None:
    metrics = {"top1": TOP1, "log_loss": LOSS}
    found = lines(metrics, [absent, {"top1": SCORE, "since_removed": SCORE}])
    assert [line.label for line in found] == ["Top-1 accuracy"]
    assert found[0].told[0] is None
    assert found[0].told[1] == told(TOP1, SCORE)
