"""The report stands alone, and nothing that data says becomes markup."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_pages import FRAME, PROBABILITIES, Elements, Photos, written

from graftwork.profiling.timing import BUSY
from graftwork.reporting import report


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
        "How it was chosen", "2\u202fmin 10\u202fs", "61.2", "812",
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


def test_pictures_in_two_splits_stand_side_by_side(tmp_path: Path) -> None:
    html = written(tmp_path / "report.html")
    assert "<h3>The same picture in two splits</h3>" in html and "1 of 30;" in html
    assert "in two splits" not in written(tmp_path / "report.html", copies=[])


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
