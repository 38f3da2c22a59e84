"""Pictures show what was counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from drawn_svg import marks, texts, titles

from graftwork.metrics.accuracy import TopK
from graftwork.metrics.log_loss import LogLoss
from graftwork.reporting import plots
from graftwork.reporting.per_class import class_scores

EVIL = "<script>alert('x')</script>"
METRICS = {"log_loss": LogLoss(higher_is_better=False), "top1": TopK(higher_is_better=True, k=1)}
SCORES = {
    "log_loss": {"value": 1.5, "low": 1.2, "high": 1.9, "n": 9},
    "top1": {"value": 0.8, "low": 0.7, "high": 0.9, "n": 9},
}


def test_class_bars_start_with_the_weakest() -> None:
    labels, predicted = np.array([0, 0, 1, 1, 2]), np.array([0, 0, 1, 0, 0])
    scores = class_scores(["good", "middling", EVIL, "absent"], labels, predicted, 0.95)
    svg = plots.class_bars(scores, plots.HELD_OUT)
    found = titles(svg)
    assert [title.split(":")[0] for title in found] == [EVIL, "middling", "good"]
    assert "recall 50.0\u202f% (9.5\u202f% to 90.5\u202f%)" in found[1]
    assert "2 pictures" in found[1]
    bars = [mark.getAttribute("d").split("h")[1].split("v")[0] for mark in marks(svg).values()]
    assert [float(width) for width in bars] == [0, 220, 440]  # px: none, half, all
    shown = texts(svg)
    assert shown.index(EVIL) < shown.index("middling") < shown.index("good")
    assert shown.count("n = 2") == 2 and "of the class’s held-out pictures recognised" in shown


def test_class_bars_of_many_classes() -> None:
    labels = np.arange(50)
    scores = class_scores([str(index) for index in range(50)], labels, labels, 0.95)
    svg = plots.class_bars(scores)
    assert len(titles(svg)) == plots.SHOWN
    assert "10 more in per_class.csv" in svg


def test_metric_intervals_keep_shares_and_losses_apart() -> None:
    svg = plots.metric_intervals(SCORES, METRICS, 0.95, plots.HELD_OUT)
    shown = texts(svg)
    assert shown.index("Top-1 accuracy") < shown.index("Log loss")
    assert {"80.0 % (70.0 – 90.0)", "1.500 (1.200 – 1.900)", "100 %", "2"} <= set(shown)
    assert "Value and 95 % bootstrap interval (BCa) over the held-out pictures" in shown
    # The bar reaches from 70 to 90 % of 450 px.
    assert 'transform="translate(315,17)" x2="90"' in svg
    only = plots.metric_intervals({"log_loss": SCORES["log_loss"]}, METRICS, 0.95)
    assert "100 %" not in texts(only)


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
