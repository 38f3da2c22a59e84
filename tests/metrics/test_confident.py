"""Labels that held-out answers doubt: by hand, and of labels that were turned on purpose."""

from __future__ import annotations

import numpy as np

from graftwork.metrics.confident import doubted


def test_by_hand() -> None:
    """Class 1 is usually 0.6 probable where it is right: 0.6 counts for it, 0.55 does not."""
    answers = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.45, 0.55], [0.4, 0.6], [0.4, 0.6]])
    rows, says = doubted(answers, np.array([0, 0, 0, 0, 1, 1]))
    assert rows.tolist() == [2] and says.tolist() == [1]


def test_the_most_doubtful_comes_first_and_a_class_without_labels_is_none() -> None:
    answers = np.array([[0.7, 0.2, 0.1], [0.3, 0.7, 0.0], [0.1, 0.8, 0.1], [0.0, 0.1, 0.9]])
    rows, says = doubted(answers, np.array([0, 1, 0, 1]))
    assert rows.tolist() == [2] and says.tolist() == [1], "class 2 bears no label"


def test_turned_labels_are_found_and_few_others() -> None:
    generator = np.random.default_rng(0)
    true = generator.integers(0, 5, 1000)
    answers = np.eye(5)[true] * 4 + generator.normal(0, 1, (1000, 5))
    answers = np.exp(answers) / np.exp(answers).sum(1, keepdims=True)
    labels, turned = true.copy(), generator.choice(1000, 50, replace=False)
    labels[turned] = (labels[turned] + 1) % 5
    rows, says = doubted(answers, labels)
    found = np.isin(turned, rows)
    assert found.mean() > 0.7, "most of them"
    assert np.isin(rows[:25], turned).mean() > 0.85, "and they come first"
    assert (says[np.isin(rows, turned)] == true[rows[np.isin(rows, turned)]]).mean() > 0.9
