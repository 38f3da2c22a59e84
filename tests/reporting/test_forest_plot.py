"""Differences with their intervals around zero."""

from __future__ import annotations

from drawn_svg import texts, titles

from graftwork.metrics.paired import Estimate
from graftwork.reporting.forest_plot import Row, forest


def test_every_difference_is_told_and_the_axis_holds_its_ends() -> None:
    rows = [Row("a - b", Estimate(0.02, -0.01, 0.05, 0.2), 0.4)]
    drawn = forest(rows, "Differences", 0.95)
    assert any("a - b: +2.0 points (-1.0 to +5.0), p 0.400" in title for title in titles(drawn))
    assert {"−1", "5"} <= {*texts(drawn)} or {"-1", "5"} <= {*texts(drawn)}


def test_systems_that_never_differ_have_an_axis_that_can_be_read() -> None:
    drawn = forest([Row("a - b", Estimate(0.0, 0.0, 0.0, 1.0), 1.0)], "Differences", 0.95)
    assert all(len(text) < 5 for text in texts(drawn) if text.strip("-−+.0123456789") == "")
