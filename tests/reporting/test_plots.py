"""Pictures are well-formed, escape what data says, and show what was counted."""

from __future__ import annotations

import re
from pathlib import Path
from xml.dom.minidom import parseString

import numpy as np
import pytest
from svg_titles import titles

from graftwork.metrics.accuracy import TopK
from graftwork.metrics.log_loss import LogLoss
from graftwork.reporting import plots
from graftwork.reporting.per_class import class_scores

EVIL = "<script>alert('x')</script>"


def test_confusion_shows_counts_and_shares() -> None:
    labels, predicted = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    svg = plots.confusion(["apple", EVIL], labels, predicted)
    found = titles(svg)
    assert f"apple, taken for {EVIL}: 1 of 3 (33.3\u202f%)" in found
    assert "apple, taken for apple: 2 of 3 (66.7\u202f%)" in found
    assert f"{EVIL}: 1 pictures" in found
    assert "<script" not in svg
    assert svg.count('class="bad" fill-opacity="0.40"') == 1  # 0.1 + 0.9 / 3


def test_confusion_of_many_classes_shows_the_most_confused() -> None:
    names = [f"class {index}" for index in range(60)]
    labels = np.arange(60).repeat(2)
    predicted = labels.copy()
    predicted[1::2] = (labels[1::2] + 1) % 60
    predicted[labels < 20] = labels[labels < 20]  # 20 classes without a mistake of their own
    svg = plots.confusion(names, labels, predicted)
    assert "the 40 most confused of 60 classes" in svg
    assert "other classes" in svg
    assert "class 5: 2 pictures" not in titles(svg)
    assert "class 30: 2 pictures" in titles(svg)
    rows = [int(n) for n in re.findall(r"taken for [^:]*: (\d+) of 2", " ".join(titles(svg)))]
    assert sum(rows) == 2 * 40  # what was taken for classes not shown is counted too


def test_labels_do_not_overlap() -> None:
    names = ["a very long name of a class that does not fit " * 3] * 12
    svg = plots.confusion(names, np.arange(12), np.arange(12))
    ys = [float(y) for y in re.findall(r'y="([\d.]+)" class="end"', svg)]
    assert min(np.diff(ys)) >= plots.LABEL
    width = float(re.search(r'width="([\d.]+)"', svg)[1])  # type: ignore[index]
    assert width < 900


def test_class_bars_start_with_the_weakest() -> None:
    labels = np.array([0, 0, 1, 1, 2])
    predicted = np.array([0, 0, 1, 0, 0])
    scores = class_scores(["good", "middling", EVIL, "absent"], labels, predicted, 0.95)
    found = titles(plots.class_bars(scores))
    assert [title.split(":")[0] for title in found] == [EVIL, "middling", "good"]
    assert "recall 50.0\u202f% (9.5\u202f% to 90.5\u202f%)" in found[1]
    assert "2 pictures" in found[1]


def test_class_bars_of_many_classes() -> None:
    labels = np.arange(50)
    scores = class_scores([str(index) for index in range(50)], labels, labels, 0.95)
    svg = plots.class_bars(scores)
    assert len(titles(svg)) == plots.SHOWN
    assert "10 more in per_class.csv" in svg


def test_reliability_bins() -> None:
    probabilities = np.array([[0.95, 0.05], [0.94, 0.06], [0.4, 0.6], [0.0, 1.0]], np.float32)
    found = titles(plots.reliability(probabilities, np.array([0, 1, 1, 1])))
    assert found == [
        "1 pictures, 60.0\u202f% sure, 100.0\u202f% right",
        "3 pictures, 96.3\u202f% sure, 66.7\u202f% right",
    ]


def test_metric_intervals_keep_shares_and_losses_apart() -> None:
    metrics = {
        "log_loss": LogLoss(higher_is_better=False),
        "top1": TopK(higher_is_better=True, k=1),
    }
    scores = {
        "log_loss": {"value": 1.5, "low": 1.2, "high": 1.9, "n": 9},
        "top1": {"value": 0.8, "low": 0.7, "high": 0.9, "n": 9},
    }
    svg = plots.metric_intervals(scores, metrics, 0.95)
    parseString(str(svg))
    assert svg.index("Top-1 accuracy") < svg.index("Log loss")
    assert "80.0\u202f%" in svg
    assert "1.500" in svg
    only = plots.metric_intervals({"log_loss": scores["log_loss"]}, metrics, 0.95)
    assert "100 %" not in only


def test_pictures_say_whose_they_are() -> None:
    labels = np.array([0, 1])
    metrics = {"top1": TopK(higher_is_better=True, k=1)}
    scores = {"top1": {"value": 0.8, "low": 0.7, "high": 0.9, "n": 9}}
    by_class = class_scores(["a", "b"], labels, labels, 0.95)
    for split, begin in ((plots.TEST, "Test"), (plots.HELD_OUT, "Held-out")):
        assert f"{begin} pictures by class" in plots.confusion(["a", "b"], labels, labels, split)
        assert f"class’s {split} pictures" in plots.class_bars(by_class, split)
        svg = plots.metric_intervals(scores, metrics, 0.95, split)
        assert f"over the {split} pictures" in svg


def test_tables_for_dvc(tmp_path: Path) -> None:
    names = ["a,b", "c"]
    labels, predicted = np.array([0, 1]), np.array([0, 0])
    scores = class_scores(names, labels, predicted, 0.95)
    plots.write_tables(tmp_path, names, labels, predicted, scores)
    assert (tmp_path / "confusion.csv").read_text().splitlines() == [
        "actual,predicted", '"a,b","a,b"', 'c,"a,b"',
    ]  # fmt: skip
    lines = (tmp_path / "per_class.csv").read_text().splitlines()
    assert lines[0] == "class,n,recall,precision,f1"
    assert lines[2] == "c,1,0.0,,0.0"


@pytest.mark.parametrize("count", [1, 12, 20, 40])
def test_every_size_is_well_formed(count: int) -> None:
    names = [f"n{index}" for index in range(count)]
    found = titles(plots.confusion(names, np.arange(count), np.arange(count)))
    assert len(found) >= count, "a tooltip a cell"
