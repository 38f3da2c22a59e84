"""The report stands alone, and nothing that data says becomes markup."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from graftwork.metrics.accuracy import TopK
from graftwork.metrics.log_loss import LogLoss
from graftwork.profiling.timing import BUSY
from graftwork.reporting import plots, report
from graftwork.reporting.per_class import class_scores

EVIL = "<script>alert(1)</script>"
METRICS = {"top1": TopK(higher_is_better=True, k=1), "log_loss": LogLoss(higher_is_better=False)}


class Photos:
    """Stands for the decoded store."""

    def get(self, sha256: str, path: str) -> np.ndarray:
        return np.full((300, 200, 3), 128, np.uint8)


class Elements(HTMLParser):
    """Every element with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


PROBABILITIES = np.array([[0.9, 0.1], [0.8, 0.2], [0.999, 0.001], [0.3, 0.7]])
GROUPS = [
    {
        "name": EVIL,
        "output": [64, 56, 56],
        "activation_kib": 784.0,
        "parameters": 9536,
        "macs": 118_013_952,
        "receptive_field": 11,
    }
]
FRAME = pd.DataFrame(
    {
        "sha256": list("abcd"),
        "path": [f"/x/<img src=y onerror=alert({index})>.jpg" for index in range(4)],
        "label": [0, 1, 1, 1],
    }
)


def written(path: Path, **changes: Any) -> str:
    names = ["apple", EVIL]
    labels, predicted = FRAME["label"].to_numpy(), PROBABILITIES.argmax(axis=1)
    classes = class_scores([*names, "absent"], labels, predicted, 0.95)
    scores = {
        "top1": {"value": 0.5, "low": 0.25, "high": 0.75, "n": 4},
        "log_loss": {"value": 0.9, "low": 0.2, "high": 2.5, "n": 4},
    }
    values: dict[str, Any] = {
        "title": f"{EVIL} · net · probe",
        "scores": scores,
        "metrics": METRICS,
        "confidence": 0.95,
        "cost": {
            "seconds": {"prepare": 2.5, "evaluate": 130.0},
            "images_per_second": {"test": 61.25},
            "peak_mib": 812.4,
            "parameters": 1234567,
            "trainable_parameters": 8765432,
            "macs": 385_187_552,
            "activation_mib": 25.71,
            "latency_ms": 4.56,
            "energy_mj_per_image": 78.9,
            "energy_source": EVIL,
            "machine": BUSY,
        },
        "profile": {"input": [3, 224, 224], "groups": GROUPS},
        "selection": f"By {EVIL}.",
        "pictures": {
            "intervals": plots.metric_intervals(scores, METRICS, 0.95),
            "confusion": plots.confusion(names, labels, predicted),
            "classes": plots.class_bars(classes),
            "calibration": plots.reliability(PROBABILITIES, labels),
            "training": None,
        },
        "classes": classes,
        "mistakes": report.worst_mistakes(FRAME, names, PROBABILITIES, Photos(), 5),
        "wrong": 2,
        "data": {
            "findings": [f"{EVIL} is odd."],
            "splits": {"train": 1389, "test": 4},
            "classes": {"apple": {"train": 7, "test": 1}, EVIL: {"train": 0, "test": 3}},
            "unreadable": {"count": 4, "files": [{"path": EVIL, "verdict": "cut"}] * 4},
            "made_splits": [],
        },
        "configuration": f"name: {EVIL}",
        "lineage": {"git": EVIL},
    }
    report.write(path, report.Report(**(values | changes)))
    return path.read_text(encoding="utf-8")


def test_nothing_is_fetched_and_nothing_runs(tmp_path: Path) -> None:
    text = written(tmp_path / "report.html")
    elements = Elements(text).found
    assert not {"script", "link", "iframe", "object", "base"} & {tag for tag, _ in elements}
    for tag, attributes in elements:
        assert not any(name.startswith("on") for name in attributes), tag
        for name in ("src", "href", "xlink:href", "action"):
            assert (attributes.get(name) or "data:").startswith("data:"), tag
    assert not re.search(r"url\(|@import", text)
    assert "default-src 'none'" in text
    assert text.count("&lt;script&gt;") >= 10


def test_it_says_what_was_measured(tmp_path: Path) -> None:
    text = written(tmp_path / "sub" / "report.html")
    for words in (
        "50.0\u202f%", "95 % interval 25.0 to 75.0\u202f%", "n = 4 test pictures",
        "How the checkpoint was chosen", "2\u202fmin 10\u202fs", "61.2", "812",
        "1\u202f234\u202f567", "2 of 2 pictures", "No epochs", "1\u202f389", "100\u202f%",
        "&lt;1\u202f%", "&lt;/script&gt; is odd.",
    ):  # fmt: skip
        assert words in text, words
    assert "8\u202f765\u202f432" in text
    assert "385.2\u202fM" in text  # MAC of the network
    assert (
        "4.56&#8239;ms" in text and text.count(f"machine {BUSY})") == 2 and "78.9&#8239;mJ" in text
    )
    for value in ("784.0", "9536", "118013952", "11"):  # of its only layer group
        assert f'<data value="{value}">' in text
    assert '<td class="n wrong">0</td>' in text  # a class without training pictures stands out
    assert "resamples agree" not in text


def test_perfect_scores_are_not_sold_as_certain(tmp_path: Path) -> None:
    scores = {"top1": {"value": 1.0, "low": 1.0, "high": 1.0, "n": 30}}
    text = written(tmp_path / "r.html", scores=scores, mistakes=[], wrong=0)
    assert "Top-1 accuracy: all resamples agree" in text
    assert "With 30 pictures, an error rate of up to 9.5\u202f% is compatible" in text
    assert "No test picture was mistaken." in text


def test_the_worst_mistakes_come_first() -> None:
    names = ["apple", "pear"]
    found = report.worst_mistakes(FRAME, names, PROBABILITIES, Photos(), 5)
    assert [mistake.own for mistake in found] == pytest.approx([0.001, 0.2])
    assert (found[0].actual, found[0].predicted) == ("pear", "apple")
    assert found[0].name.startswith("<img")
    assert len(report.worst_mistakes(FRAME, names, PROBABILITIES, Photos(), 1)) == 1


def test_thumbnails_are_small_jpegs() -> None:
    uri = report.thumbnail(np.zeros((500, 1000, 3), np.uint8))
    kind, _, data = uri.partition(",")
    assert kind == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (160, 80)
