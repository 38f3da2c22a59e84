from __future__ import annotations

from xml.dom.minidom import parseString

import pytest
from jinja2 import UndefinedError

from graftwork.reporting.drawing import (
    LogScale,
    Scale,
    compact,
    duration,
    environment,
    log_ticks,
    number,
    percent,
    render,
    shortened,
    standalone,
    text_width,
    ticks,
    wrapped,
)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (1, 12, [5, 10]),
        (0, 3.3e-4, [0, 1e-4, 2e-4, 3e-4]),
        (0.83, 0.86, [0.83, 0.84, 0.85, 0.86]),
        (5, 5, [5]),
    ],
)
def test_ticks_are_round_and_inside(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


def test_scale() -> None:
    assert Scale(0, 10, 100, 0)(2.5) == 75


def test_equal_ratios_are_equal_distances() -> None:
    scale = LogScale(1, 100, 0, 50)
    assert [scale(value) for value in (1, 10, 100)] == pytest.approx([0, 25, 50])


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1e6, 1e9, [1e6, 1e7, 1e8, 1e9]),
        (0.5, 40, [1, 3, 10, 30]),
        (2, 9, [2, 3, 5, 7]),
        (1.01, 1.3, [1.1, 1.2, 1.3]),
    ],
)
def test_log_ticks_are_few_and_inside(low: float, high: float, expected: list[float]) -> None:
    assert log_ticks(low, high) == pytest.approx(expected)


def test_numbers_as_people_read_them() -> None:
    assert percent(0.8426) == "84.3\u202f%"
    assert number(3389418) == "3\u202f389\u202f418"
    assert number(61.23) == "61.2"
    assert compact(4_089_184_256) == "4.09\u202fG"
    assert compact(3_389_418) == "3.39\u202fM"
    assert compact(999_900) == "1\u202fM" and compact(512) == "512"
    assert duration(12.34) == "12.3\u202fs"
    assert duration(131.4) == "2\u202fmin 11\u202fs"
    assert duration(7384) == "2\u202fh 3\u202fmin"


def test_long_names_are_shortened_to_what_fits() -> None:
    name = "Williams-Bon-Chrétien from the southern slopes"
    short = shortened(name, 120, 12)
    assert text_width(short, 12) <= 120
    assert short.startswith("Williams")
    assert short.endswith("lopes")
    assert shortened("Lime", 120, 12) == "Lime"
    assert shortened("日本語のクラス名", 40, 12) == "日本…"
    assert shortened("mmmm", 1, 12) == "m…"


def test_lines_are_as_long_as_fits() -> None:
    text = "some words and a_name_without_spaces_that_is_much_too_long_for_a_line of them"
    found = wrapped(text, 120, 12)
    assert all(text_width(line, 12) <= 120 for line in found)
    assert found[0].startswith("some words")
    assert " ".join(found).split()[-2:] == ["of", "them"]
    assert any("…" in line for line in found)
    assert wrapped(" ", 120, 12) == []


def test_wide_letters_count_double_and_accents_nothing() -> None:
    assert text_width("日", 10) == 10
    assert text_width("e\u0301", 10) == text_width("e", 10)


def test_values_are_escaped_and_gaps_noticed() -> None:
    template = environment().from_string("{{ name }}")
    assert template.render(name="<script>") == "&lt;script&gt;"
    with pytest.raises(UndefinedError):
        template.render()


def test_a_picture_alone_brings_its_colours() -> None:
    svg = render("reliability.svg.jinja", bins=[], n=0)
    text = standalone(svg)
    parseString(text)
    assert "prefers-color-scheme: dark" in text
    assert text.index("<style>") < text.index('class="paper"') < text.index("Calibration")
