from __future__ import annotations

import re

import numpy as np
import pytest
from drawn_svg import marks, texts, titles

from graftwork.reporting.confusion_plot import confusion

EVIL = "<script>alert('x')</script>"


def test_counts_and_shares() -> None:
    svg = confusion(["apple", EVIL], np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), "held-out")
    found = marks(svg)
    wrong, right = (
        found[f"apple, taken for {EVIL}: 1 of 3 (33.3 %)"],
        found["apple, taken for apple: 2 of 3 (66.7 %)"],
    )
    assert (wrong.getAttribute("fill"), right.getAttribute("fill")) == ("var(--bad)", "var(--one)")
    assert float(wrong.getAttribute("opacity")) == pytest.approx(0.1 + 0.9 / 3)
    assert "Held-out pictures by class (rows) and prediction (columns)" in texts(svg)
    shown = texts(svg)
    assert shown.count("apple") == 2 and shown.count("3") == 1  # both sides; its total
    assert "<script" not in svg


def test_of_many_classes_the_most_confused() -> None:
    names = [f"class {index}" for index in range(60)]
    labels = np.arange(60).repeat(2)
    predicted = labels.copy()
    predicted[1::2] = (labels[1::2] + 1) % 60
    predicted[labels < 20] = labels[labels < 20]  # 20 classes without a mistake of their own
    svg = confusion(names, labels, predicted, "test")
    shown = texts(svg)
    assert any("the 40 most confused of 60 classes" in text for text in shown)
    assert "other classes" in shown and "class 5" not in shown and "class 30" in shown
    rows = [int(n) for n in re.findall(r"taken for [^:]*: (\d+) of 2", " ".join(titles(svg)))]
    assert sum(rows) == 2 * 40  # what was taken for classes not shown is counted too


@pytest.mark.parametrize("count", [1, 12, 20, 40])
def test_every_size_is_drawn(count: int) -> None:
    names = ["a name that is much too long to stand beside a row " + str(i) for i in range(count)]
    svg = confusion(names, np.arange(count), np.arange(count), "test")
    assert len(titles(svg)) == count
    assert float(re.search(r'width="([\d.]+)"', svg)[1]) < 1500  # type: ignore[index]
