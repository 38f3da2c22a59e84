from __future__ import annotations

import re
import subprocess
import sys
from xml.dom.minidom import parseString

import pytest
import vl_convert
from drawn_svg import texts, titles

from graftwork.reporting import charts
from graftwork.reporting.charts import (
    colour,
    field,
    heading,
    layer,
    panel,
    standalone,
    told,
    vega_lite,
)

EVIL = "<script>alert('x')</script>"
ROWS = [{"x": 1, "y": 2, "about": EVIL}, {"x": 2, "y": 3, "about": 'a "b" & c'}]
DOTS = [told("circle", {"color": colour("one")}), layer("text", text=field("y"))]
SPEC = {
    "title": heading("A title", "and a note"),
    **panel(ROWS, (200, 200), DOTS, x=field("x", title="x"), y=field("y")),
}


def test_marks_say_what_they_are_and_nothing_is_run() -> None:
    svg = vega_lite(SPEC, "About <this>")
    assert titles(svg) == [EVIL, 'a "b" & c']
    assert "<script" not in svg and "href=" not in svg
    assert 'role="img" aria-label="About &lt;this&gt;"' in svg
    assert {"A title", "and a note"} <= set(texts(svg))


def test_names_of_any_characters_are_drawn() -> None:
    data = {
        "values": [{"x": 1, "y": 2, "about": "red\x1b[2J"}, {"x": 2, "y": 3, "about": "b\udcff"}]
    }
    assert titles(vega_lite({**SPEC, "data": data}, "")) == ["red\\x1b[2J", "b\\udcff"]


def test_colours_follow_light_and_dark() -> None:
    svg = vega_lite(SPEC, "")
    used = set(re.findall(r'(?:fill|stroke)="([^"]+)"', svg)) - {"none", "transparent"}
    assert {"var(--one)", "var(--ink)", "var(--muted)", "var(--line)"} <= used
    assert all(found.startswith("var(--") for found in used)  # black would vanish in the dark
    text = standalone(svg)
    (root,) = parseString(text).getElementsByTagName("svg")
    assert root.getAttribute("class") == "plot"  # as the style sheet has it
    light, dark = text.split("prefers-color-scheme: dark")
    for name in (found[4:-1] for found in used):
        assert f"{name}: #" in light and f"{name}: #" in dark
    assert text.index("<style>") < text.index('class="paper"') < text.index("A title")


def test_the_same_input_gives_the_same_bytes() -> None:
    first = vega_lite(SPEC, "")
    charts._drawn.cache_clear()
    assert vega_lite(SPEC, "") == first


def test_a_chart_is_drawn_once_whatever_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, draw = [], vl_convert.vegalite_to_svg
    monkeypatch.setattr(
        vl_convert, "vegalite_to_svg", lambda spec: drawn.append(spec) or draw(spec)
    )
    charts._drawn.cache_clear()
    one, other = vega_lite(SPEC, "one"), vega_lite(SPEC, "other")
    assert len(drawn) == 1 and 'aria-label="other"' in other
    assert str(one).replace('"one"', '"other"') == str(other)
    vega_lite({**SPEC, "title": heading("Another title")}, "one")
    assert len(drawn) == 2


def test_nothing_is_loaded_before_a_chart_is_drawn() -> None:
    modules = "graftwork.reporting.evaluation_report, graftwork.pareto.page"
    check = f"import sys, {modules}; sys.exit('vl_convert' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0
