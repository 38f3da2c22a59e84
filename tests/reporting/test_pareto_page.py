from __future__ import annotations

import io

from rich.console import Console

from graftwork.pareto.candidates import Score
from graftwork.pareto.comparison import comparison
from graftwork.pareto.frontier import Candidate
from graftwork.reporting.pareto_page import page, pictures, table

TOP1 = Score("top1", "Top-1 accuracy", True, True, 0.95)


def run(name: str, value: float, **costs: float) -> Candidate:
    return Candidate(name, name, value, value - 0.02, value + 0.02, costs, "fruit", "0123", 0)


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
)


def test_the_page_marks_the_frontier_and_what_is_not_told_apart() -> None:
    html = page(SHOWN)
    assert html.count("<svg") == len(pictures(SHOWN)) == 2
    assert html.count("● 4\u202fG") == 1 and html.count("● 5</b>") == 1
    near, far = (
        html[html.index(f"<td>{name}</td>") :].split("</tr>")[0] for name in ("near", "far")
    )
    assert near.count("≈") == 2 and "large costs no more and scores 80.0 (78.0 to 82.0) %" in near
    assert "≈" not in far and far.count("–") == 1
    assert "1 run of 4 without latency recorded: left out along it." in html


def test_the_terminal_lists_the_frontier() -> None:
    out = io.StringIO()
    Console(file=out, width=120).print(table(SHOWN))
    text = out.getvalue()
    assert "large" in text and r"small[bold][/us]\x1b[2J" in text and "near" not in text
    assert "\x1b" not in text
    assert "2 of 4" in text and "1 of 3" in text and "78.0-82.0" in text
    assert text.count("●") == 1 + 3  # the heading; large twice, small once
