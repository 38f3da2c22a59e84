from __future__ import annotations

import re

import pytest

from graftwork.pareto.axes import axis_of
from graftwork.pareto.candidates import Score
from graftwork.pareto.frontier import Candidate, compare
from graftwork.pareto.plot import pareto_plot
from graftwork.reporting.drawing import text_width
from graftwork.reporting.scatter import WIDTH

TOP1 = Score("top1", "Top-1 accuracy", True, True, 0.95, "selection")
MACS = axis_of("macs", [])


def run(name: str, value: float, macs: float, width: float | None = 0.02) -> Candidate:
    low, high = (None, None) if width is None else (value - width, value + width)
    return Candidate(name, name, value, low, high, {"macs": macs}, "fruit", "d", 0, "", None)


RUNS = [run("small", 0.6, 1e8), run("large", 0.8, 4e9), run("poor", 0.5, 2e9)]


def corners(svg: str) -> list[tuple[float, float]]:
    (points,) = re.findall(r'class="curve one"[^>]* points="([^"]*)"', svg)
    return [tuple(map(float, pair.split(","))) for pair in points.split()]  # type: ignore[misc]


def test_the_frontier_is_named_and_the_rest_grey() -> None:
    svg = str(pareto_plot(compare(RUNS, "macs", higher_is_better=True), MACS, TOP1))
    texts = re.findall(r'class="small halo[^"]*">([^<]*)<', svg)
    assert sorted(texts) == ["large", "small"]
    assert svg.count('class="dim"/>') == 1 and svg.count('class="one"/>') == 2
    assert svg.count('class="bar') == 3
    assert "poor: 50.0 (48.0 to 52.0) %; multiply-accumulates of one image: 2\u202fG" in svg
    assert "3 runs, 2 on the frontier" in svg and "95 % intervals" in svg


def test_the_longest_note_fits_the_picture() -> None:
    loss = Score("log_loss", "Log loss", False, False, 0.95, "selection")
    many = [run("r" * 40, 0.5 - i / 1000, 1e8 * (1 + i / 1000)) for i in range(100)]
    svg = str(pareto_plot(compare(many, "macs", higher_is_better=False), MACS, loss))
    (note,) = re.findall(r'y="39" class="muted">([^<]*)<', svg)
    assert "lower is better" in note and "95 % intervals" in note
    assert 8 + text_width(note, 12) < WIDTH
    assert "without room for a name" in svg


def test_the_line_steps_at_each_cost() -> None:
    svg = str(pareto_plot(compare(RUNS, "macs", higher_is_better=True), MACS, TOP1))
    (a, b, c, d) = corners(svg)
    assert a[1] == b[1] and b[0] == c[0] and c[1] == d[1]  # right, up, right
    assert b[0] > a[0] and c[1] < b[1] and d[0] > c[0]
    loss = Score("log_loss", "Log loss", False, False, 0.95, "selection")
    svg = str(pareto_plot(compare(RUNS, "macs", higher_is_better=False), MACS, loss))
    (a, b, c, _) = corners(svg)
    assert c[1] > b[1] and "lower is better" in svg


@pytest.mark.parametrize("runs", [[run("only", 0.9, 1e9, None)], [run("a", 1.0, 1.0, 0.0)] * 3])
def test_few_and_equal_runs_are_drawn(runs: list[Candidate]) -> None:
    svg = str(pareto_plot(compare(runs, "macs", higher_is_better=True), MACS, TOP1))
    assert svg.count('class="one"/>') == len(runs) and "nan" not in svg
