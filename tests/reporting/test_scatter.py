from __future__ import annotations

import re
from xml.dom.minidom import parseString

import pytest

from graftwork.reporting.drawing import LogScale, Scale, number, text_width
from graftwork.reporting.scatter import HEIGHT, WIDTH, Dot, Ruler, horizontal, scatter, vertical

EVIL = "<script>alert('x')</script>"


def test_rulers_go_by_ratios_where_values_differ_by_much() -> None:
    wide = Ruler.over([1e6, 1e9], "x", number, (0, 100))
    assert isinstance(wide.scale, LogScale) and wide.ticks == [1e6, 1e7, 1e8, 1e9]
    assert wide.scale(1e6) > 0 and wide.scale(1e9) < 100
    assert wide.scale(10**7.5) == pytest.approx(50)
    narrow = Ruler.over([2, 3], "x", number, (0, 100))
    assert type(narrow.scale) is Scale and narrow.scale.low < 2
    assert Ruler.over([0, 9], "x", number, (0, 1)).scale.low == 0  # no logarithm, nothing below
    share = Ruler.over([0.1, 0.99], "x", number, (0, 1), (0, 1))
    assert type(share.scale) is Scale and (share.scale.low, share.scale.high) == pytest.approx(
        (0.0199, 1.0)
    )
    alone = Ruler.over([5.0], "x", number, (0, 100))
    assert alone.scale(5) == pytest.approx(50)


def test_dots_names_and_lines() -> None:
    dots = [
        Dot(1, 0.5, EVIL, "the first", low=0.4, high=0.6),
        Dot(2, 0.7, "hidden", "the second", "dim", named=False),
    ]
    x = Ruler.over([1, 2], "cost", number, horizontal())
    y = Ruler.over([0.4, 0.7], "score", number, vertical())
    svg = scatter(dots, x, y, title="t", note="n", steps=[(1, 0.5), (2, 0.5)], dashed=[(1, 0.5)],
                  legend=[("bad", "worse"), ("", "a line")])  # fmt: skip
    page = parseString(str(svg))
    assert [node.firstChild.data for node in page.getElementsByTagName("title")] == [
        "the first", "the second",
    ]  # fmt: skip
    assert "&lt;script&gt;" in svg and "<script" not in svg and "hidden" not in svg
    assert svg.count('class="bar one"') == 1 and svg.count("<circle") == 2
    assert 'class="curve one"' in svg and 'class="ideal"' in svg and "worse" in svg


def test_names_without_room_are_counted() -> None:
    dots = [Dot(1, 1, "w" * 40, "", low=None) for _ in range(200)]
    ruler = Ruler.over([1], "x", number, horizontal())
    svg = scatter(dots, ruler, Ruler.over([1], "y", number, vertical()), title="t", note="n")
    (x, y, words) = re.findall(r'<text x="([^"]*)" y="([^"]*)"[^>]*>(\d+ without room[^<]*)<', svg)[
        0
    ]
    assert text_width(words, 11) < float(x) <= WIDTH and float(y) < HEIGHT
    assert '<text x="8" y="39" class="muted">n</text>' in svg  # it is no part of the note
