from __future__ import annotations

import math
from pathlib import Path

from drawn_svg import marks, place, texts, titles

from graftwork.reporting.training_curves import curves, read_history

HISTORY = """epoch,train/loss,val/loss,val/top1,lr/head,lr/blocks.0,lr/blocks.1
1,2.0,1.9,0.5,0.001,0.0001,0.0002
2,1.0,,0.75,0.002,0.0002,0.0004
3,0.5,nonsense,0.8,0.001,0.0001,0.0002
"""


def test_curves(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text(HISTORY)
    history = read_history(path)
    assert history["train/loss"] == [2, 1, 0.5]
    assert math.isnan(history["val/loss"][1])
    svg = curves(history)
    assert svg is not None
    found = titles(svg)
    assert "epoch 2: validation 75.0\u202f%" in found
    assert "epoch 1: train 2" in found
    assert len([title for title in found if "validation 1.9" in title]) == 1
    assert len([title for title in found if "head" in title]) == 3  # the fastest group
    assert len([title for title in found if "blocks.0" in title]) == 3  # and the slowest
    assert not any("blocks.1" in title for title in found)
    words = {"Training", "Loss (nats)", "Accuracy", "Learning rate", "train", "head", "75 %"}
    assert words <= set(texts(svg))
    points = marks(svg)
    assert points["epoch 1: train 2"].getAttribute("fill") == "var(--one)"
    assert points["epoch 1: validation 1.9"].getAttribute("fill") == "var(--two)"
    (x1, y1), (x2, y2), (x3, y3) = (
        place(points[words])
        for words in ("epoch 1: train 2", "epoch 2: train 1", "epoch 3: train 0.5")
    )
    assert x2 - x1 == x3 - x2 and y2 - y1 == 2 * (y3 - y2) > 0  # falling: down


def test_test_curves_are_drawn_where_they_are() -> None:
    svg = curves({"epoch": [1.0, 2.0], "train/top1": [0.5, 0.6], "test/top1": [0.4, 0.45]})
    assert svg is not None
    assert "epoch 2: test 45.0\u202f%" in titles(svg)


def test_nothing_trained_has_no_curves(tmp_path: Path) -> None:
    assert read_history(tmp_path / "absent.csv") == {}
    (tmp_path / "empty.csv").write_text("epoch,train/loss\n")
    assert curves(read_history(tmp_path / "empty.csv")) is None


def test_one_epoch_is_drawn() -> None:
    svg = curves({"epoch": [0.0], "train/loss": [1.25], "val/top1": [1.0], "lr": [0.0]})
    assert svg is not None
    assert "epoch 0: train 1.25" in titles(svg)
    assert "NaN" not in svg
