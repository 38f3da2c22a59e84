from __future__ import annotations

import re
from dataclasses import replace

import pytest
from drawn_svg import marks, texts, titles

from graftwork.pareto.axes import axis_of
from graftwork.pareto.candidates import Score
from graftwork.pareto.frontier import Candidate, compare
from graftwork.pareto.plot import pareto_plot

TOP1 = Score("top1", "Top-1 accuracy", True, True, 0.95, "selection")
LOSS = Score("log_loss", "Log loss", False, False, 0.95, "selection")
MACS = axis_of("macs", [])


def run(name: str, value: float, macs: float, width: float | None = 0.02) -> Candidate:
    low, high = (None, None) if width is None else (value - width, value + width)
    return Candidate(name, name, value, low, high, {"macs": macs}, "fruit", "d", 0, "", None)


RUNS = [run("small", 0.6, 1e8), run("large", 0.8, 4e9), run("poor", 0.5, 2e9)]


def frontier(svg: str) -> list[tuple[float, float]]:
    """Corners of the step line, px."""
    (path,) = re.findall(r'd="(M[^"]*)"[^>]*stroke-opacity="0.55"', svg)
    return [tuple(map(float, pair.split(","))) for pair in re.split("[ML]", path)[1:]]  # type: ignore[misc]


def test_the_frontier_is_named_and_the_rest_grey() -> None:
    svg = pareto_plot(compare(RUNS, "macs", higher_is_better=True), MACS, TOP1)
    shown = texts(svg)
    assert {"small", "large", "Top-1 accuracy, held out, %", MACS.label} <= set(shown)
    assert "poor" not in shown
    fills = {words.split(":")[0]: mark.getAttribute("fill") for words, mark in marks(svg).items()}
    assert fills == {"small": "var(--one)", "large": "var(--one)", "poor": "var(--muted)"}
    assert svg.count('stroke-opacity="0.5"') == 3
    words = "poor: 50.0 (48.0 to 52.0) %; multiply-accumulates of one image: 2\u202fG"
    assert words in titles(svg)
    assert "3 runs, 2 on the frontier; others grey; bars: 95 % intervals" in shown


def test_the_line_steps_at_each_cost_and_to_the_end() -> None:
    a, b, c, d, *_ = frontier(pareto_plot(compare(RUNS, "macs", higher_is_better=True), MACS, TOP1))
    assert a[1] == b[1] and b[0] == c[0] and c[1] == d[1]  # right, up, right
    assert b[0] > a[0] and c[1] < b[1] and d[0] > c[0]
    svg = pareto_plot(compare(RUNS, "macs", higher_is_better=False), MACS, LOSS)
    a, b, c, *_ = frontier(svg)
    assert c[1] > b[1] and any("lower is better" in text for text in texts(svg))


@pytest.mark.parametrize("runs", [[run("only", 0.9, 1e9, None)], [run("a", 1.0, 1.0, 0.0)] * 3])
def test_few_and_equal_runs_are_drawn(runs: list[Candidate]) -> None:
    svg = pareto_plot(compare(runs, "macs", higher_is_better=True), MACS, TOP1)
    assert len(titles(svg)) == len(runs) and "NaN" not in svg


def test_what_a_busy_machine_took_is_hollow_and_said() -> None:
    busy = replace(run("small", 0.6, 1e8), doubtful=frozenset({"macs"}))
    poor = replace(RUNS[2], doubtful=frozenset({"macs"}))
    svg = pareto_plot(compare([busy, RUNS[1], poor], "macs", higher_is_better=True), MACS, TOP1)
    looks = {
        words.split(":")[0]: (mark.getAttribute("fill"), mark.getAttribute("stroke"))
        for words, mark in marks(svg).items()
    }
    assert looks == {
        "small": ("var(--paper)", "var(--one)"),
        "large": ("var(--one)", "var(--one)"),
        "poor": ("var(--paper)", "var(--muted)"),
    }
    assert sum("may be too high" in words for words in titles(svg)) == 2
    assert any("hollow: on a busy machine" in text for text in texts(svg))
    quiet = pareto_plot(compare(RUNS, "macs", higher_is_better=True), MACS, TOP1)
    assert not any("hollow" in text for text in texts(quiet))
