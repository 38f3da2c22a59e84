"""The page of `graftwork advise`."""

from __future__ import annotations

from markupsafe import Markup

from graftwork.advising.advice import Advice, Row
from graftwork.reporting.numbers import duration, percent
from graftwork.reporting.pages import render
from graftwork.reporting.scatter import Dot, Ruler, scatter

NAMED = 6  # of the ways that are drawn, the best


def page(advice: Advice) -> str:
    """One HTML file that needs nothing but itself."""
    return render("advice.html.jinja", advice=advice, picture=picture(advice))


def picture(advice: Advice) -> Markup:
    """Accuracy against what it takes to get there."""
    whole = [row for row in advice.rows if row.whole]
    dots = [_dot(row, advice, number < NAMED) for number, row in enumerate(whole)]
    return scatter(
        dots,
        Ruler("seconds of all stages", "~s"),
        Ruler("top-1 of held-out photos", ".0%"),
        title="Accuracy against time",
        note="Probes and whole trainings, on one footing; the larger dot is recommended.",
    )


def _dot(row: Row, advice: Advice, named: bool) -> Dot:
    name = f"{row.way.strategy} {row.way.network} {row.way.size}"
    about = f"{row.way}: {percent(row.score)}, {duration(row.seconds)}"
    if row.way == advice.chosen.way:
        return Dot(
            row.seconds, row.score, name, about, "two",
            low=advice.expected.low, high=advice.expected.high,
        )  # fmt: skip
    return Dot(row.seconds, row.score, name, about, named=named)
