from __future__ import annotations

import numpy as np
import pytest

from graftwork.reporting.per_class import class_scores, confusion_counts, wilson


def test_scores_by_hand() -> None:
    labels = np.array([0, 0, 0, 1, 1])
    predicted = np.array([0, 0, 1, 1, 2])
    apple, pear, plum, fig = class_scores(["apple", "pear", "plum", "fig"], labels, predicted, 0.95)
    assert (apple.n, apple.predicted) == (3, 2)
    assert (apple.recall, apple.precision, apple.f1) == (pytest.approx(2 / 3), 1, 0.8)
    assert (pear.recall, pear.precision, pear.f1) == (0.5, 0.5, 0.5)
    # Predicted once, never right; without pictures there is no recall and no F1.
    assert (plum.n, plum.recall, plum.low, plum.f1, plum.precision) == (0, None, None, None, 0)
    assert (fig.predicted, fig.precision) == (0, None)


def test_confusion_counts() -> None:
    counts = confusion_counts(np.array([0, 1, 1]), np.array([1, 1, 0]), 2)
    assert counts.tolist() == [[0, 1], [1, 1]]


def test_wilson_as_published() -> None:
    # Newcombe, Statistics in Medicine 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    assert wilson(81, 263, 0.95) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(15, 148, 0.95) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert wilson(0, 20, 0.95) == pytest.approx((0, 0.1611), abs=1e-4)
    assert wilson(1, 29, 0.95) == pytest.approx((0.0061, 0.1718), abs=1e-4)
