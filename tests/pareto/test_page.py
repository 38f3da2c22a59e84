from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from graftwork.pareto.candidates import Score
from graftwork.pareto.comparison import Comparison, comparison
from graftwork.pareto.frontier import Candidate, Measured
from graftwork.pareto.page import page, pictures, table

TOP1 = Score("top1", "Top-1 accuracy", True, True, 0.95, "selection")


def run(name: str, value: float, test: Measured | None = None, **costs: float) -> Candidate:
    return Candidate(
        name, name, value, value - 0.02, value + 0.02, costs, "fruit", "0123", 0, "matched", test
    )


SHOWN = comparison(
    [
        run("small[bold][/us]\x1b[2J", 0.6, macs=1e8, latency=9.0),
        run("large", 0.8, macs=4e9, latency=5.0),
        run("near", 0.79, macs=5e9, latency=6.0),
        run("far", 0.5, macs=5e9),
    ],
    TOP1,
    ["macs", "latency"],
    None,
    unscored=0,
)


def test_the_page_marks_the_frontier_and_what_is_not_told_apart() -> None:
    html = page(SHOWN)
    assert html.count("<svg") == len(pictures(SHOWN)) == 2
    assert html.count("● 4\u202fG") == 1 and html.count("● 5</b>") == 1
    near, far = (html[html.index(f">{name}</td>") :].split("</tr>")[0] for name in ("near", "far"))
    assert near.count("≈") == 2 and "large costs no more and scores 80.0 (78.0 to 82.0) %" in near
    assert "≈" not in far and far.count("–") == 1
    assert "1 run of 4 without latency recorded: left out along it." in html


def test_test_scores_stand_beside_and_sort_nothing() -> None:
    runs = [
        run("best", 0.8, Measured(0.6, 0.5, 0.7), macs=2.0),
        run("second", 0.7, Measured(0.9, 0.85, 0.95), macs=1.0),
        run("blind", 0.5, macs=3.0),
    ]
    shown = comparison(runs, TOP1, ["macs"], None, unscored=0)
    html = page(shown)
    assert html.index(">best</td>") < html.index(">second</td>") < html.index(">blind</td>")
    assert "90.0 (85.0 to 95.0) %" in html and html.count("not looked at") == 1
    assert "the best test score is expected" in html
    for width in (60, 120):
        text = printed(shown, width)
        assert "90.0 (85.0-95.0)" in text and text.index("best") < text.index("second")
    assert "not looked at" not in page(SHOWN)


def printed(shown: Comparison, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(table(shown, console))
    return console.file.getvalue()  # type: ignore[attr-defined]


def five_costs() -> Comparison:
    costs = {"macs": 204.8e6, "parameters": 37.5e6, "latency": 0.161, "energy": 32.2}
    cheap = {word: cost / 2 for word, cost in costs.items()}
    name = "efficientnet_b0 linear_probe"
    runs = [run(name, 0.9, **costs, seconds=2697), run("other", 0.7, **cheap, seconds=99.9)]
    return comparison(runs, TOP1, [], None, unscored=0)


@pytest.mark.parametrize("width", range(84, 150, 3))
def test_nothing_is_cut_whatever_the_width(width: int) -> None:
    text = printed(five_costs(), width)
    assert "…" not in text and text.count("●") == 1 + 2 * 5
    assert text.count("efficien") == text.count("efficientnet_b0 linear_probe") + 1  # run ids, too


@pytest.mark.parametrize("width", [80, 140])
def test_five_costs_fit_with_their_units(width: int) -> None:
    text = printed(five_costs(), width)
    for words in ("efficientnet_b0 linear_probe", "90.0", "88.0-92.0", "Top-1 accuracy", "204.8"):
        assert words in text, words
    for words in ("37.5\u202fM ●", "0.161 ●", "32.2 ●", "2\u202f697 ●", "efficien", "95 %"):
        assert words in text, words
    units = next(line for line in text.splitlines() if " ms " in line)
    assert units.split()[-3:] == ["ms", "mJ", "s"]
    assert "…" not in text and max(map(len, text.splitlines())) <= width
    lines = [line for line in text.splitlines() if "linear_probe" in line]
    assert ("90.0" in lines[0]) == (width == 140)  # one line a run where there is room


def test_the_terminal_lists_the_frontier() -> None:
    text = printed(SHOWN, 120)
    assert "large" in text and r"small[bold][/us]\x1b[2J" in text and "near" not in text
    assert "\x1b" not in text
    assert "2 of 4" in text and "1 of 3" in text and "78.0-82.0" in text
    assert text.count("●") == 1 + 3  # the heading; large twice, small once


def test_figures_of_a_busy_machine_are_marked_wherever_they_stand() -> None:
    busy = replace(run("busy", 0.8, macs=2.0, latency=9.0), doubtful=frozenset({"latency"}))
    quiet = run("quiet", 0.7, macs=1.0, latency=8.0)
    shown = comparison([busy, quiet], TOP1, ["macs", "latency"], None, unscored=0)
    html, text = page(shown), printed(shown, 120)
    assert html.count("● 9 ○</b>") == 1 and "● 2 ○" not in html and "● 8</b>" in html
    macs, latency = pictures(shown)
    assert "hollow" in latency and "hollow" not in macs
    assert "9 ○ ●" in text and "8 ●" in text
    assert any("kept the machine busy" in sentence for sentence in shown.cautions())
    assert not any("busy" in sentence for sentence in SHOWN.cautions())
    assert "○" not in page(SHOWN)
