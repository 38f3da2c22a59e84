from __future__ import annotations

import numpy as np
import pandas as pd

from graftwork.reporting import plots
from graftwork.reporting.drawn import drawn_of
from graftwork.selecting.expected import EXPECTED

SCORES = {"top1": {"value": 0.5, "low": 0.2, "high": 0.8, "n": 2}}
FRAME = pd.DataFrame({"sha256": ["a", "b"], "path": ["a.jpg", "b.jpg"], "label": [0, 1]})
FOUND = (FRAME, np.array([[0.9, 0.1], [0.7, 0.3]]))


def test_the_test_goes_first_and_held_out_pictures_stand_in() -> None:
    both = drawn_of(["a", "b"], (SCORES, FOUND), (SCORES, FOUND))
    assert both is not None and (both.split, both.wrong) == (plots.TEST, 1)
    # A sweep's job knows its test pictures, but has no predictions of them.
    only = drawn_of(["a", "b"], ({}, None), (SCORES, FOUND))
    assert only is not None and only.split == plots.HELD_OUT


def test_what_has_no_scores_or_no_predictions_is_not_drawn() -> None:
    assert drawn_of(["a", "b"], ({}, FOUND), ({}, FOUND)) is None
    assert drawn_of(["a", "b"], ({}, None), (SCORES, None)) is None


def test_what_to_expect_of_new_pictures_is_no_score_of_these() -> None:
    told = {**SCORES, EXPECTED: {"value": 0.5, "low": 0.4, "high": 0.6, "n": 9}}
    found = drawn_of(["a", "b"], ({}, None), (told, FOUND))
    assert found is not None and found.scores == SCORES
