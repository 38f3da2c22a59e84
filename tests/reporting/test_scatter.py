from __future__ import annotations

import pytest
from drawn_svg import marks, place, texts

from graftwork.reporting.scatter import Dot, Ruler, scatter

EVIL = "<script>alert('x')</script>"
X, Y = Ruler("cost", "~s"), Ruler("score", ".3~g", ratios=False)


def drawn(*dots: Dot, **more: object) -> str:
    return scatter(dots, X, Y, title="t", note="n", **more)  # type: ignore[arg-type]


def test_ratios_are_drawn_where_values_differ_by_much() -> None:
    wide = [Dot(10.0**power, 1, "", f"{power}") for power in (6, 7, 9)]
    xs = [place(mark)[0] for mark in marks(drawn(*wide)).values()]
    assert (xs[2] - xs[1]) / (xs[1] - xs[0]) == pytest.approx(2, abs=0.02)
    narrow = [Dot(x, 1, "", f"{x}") for x in (2, 3, 5)]
    xs = [place(mark)[0] for mark in marks(drawn(*narrow)).values()]
    assert (xs[2] - xs[1]) / (xs[1] - xs[0]) == pytest.approx(2, abs=0.02)


def test_dots_names_and_lines() -> None:
    dots = [
        Dot(1, 0.5, EVIL, "the first", low=0.4, high=0.6),
        Dot(2, 0.7, "hidden", "the second", "dim", named=False),
    ]
    svg = drawn(*dots, steps=[(1, 0.5)], dashed=[(1, 0.5), (2, 0.6)], legend={"bad": "worse"})
    found = marks(svg)
    assert found["the first"].getAttribute("fill") == "var(--one)"
    assert found["the second"].getAttribute("fill") == "var(--muted)"
    assert place(found["the first"])[1] > place(found["the second"])[1]  # lower is down
    assert {EVIL, "worse", "cost", "score", "t", "n"} <= set(texts(svg))
    assert "<script" not in svg and "hidden" not in texts(svg)
    assert svg.count('stroke-opacity="0.5"') == 1  # only one has an interval
    assert 'stroke-dasharray="4,4"' in svg and 'stroke-opacity="0.55"' in svg


def test_names_stand_beside_their_points_or_nowhere() -> None:
    svg = drawn(*(Dot(1, 1, f"name {i}", "") for i in range(200)))
    assert 0 < sum(text.startswith("name") for text in texts(svg)) < 100
    svg = drawn(*(Dot(i, i % 5, f"name {i}", "") for i in range(15)))
    assert sum(text.startswith("name") for text in texts(svg)) == 15
