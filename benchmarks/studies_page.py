"""docs/NAME.md of a study: a table a condition, and a picture."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence

from markupsafe import Markup

from benchmarks.defaults_page import machine
from benchmarks.memory import line
from benchmarks.studies import BASELINES, EPOCHS, Found, Study
from graftwork.reporting.charts import (
    SERIES,
    colour,
    field,
    heading,
    layer,
    nominal,
    panel,
    standalone,
    ticked,
    told,
    vega_lite,
)
from graftwork.reporting.forest_plot import Row, forest
from pipelines.configuration_tables import NOTE, rows

CONFIDENCE = 0.95


def written(study: Study, found: Sequence[Found]) -> tuple[str, dict[str, str]]:
    """The page, and its pictures by file name."""
    pictures = dict(_pictures(study, found))
    shown = "\n".join(f"![{study.title}]({name})\n" for name in pictures)
    tables = "\n".join(_table(one) for one in found)
    seeds = ", ".join(map(str, study.seeds))
    day = datetime.date.today().isoformat()
    return (
        f"# {study.title}\n\n"
        f"Expected, before it was run: {study.expected}\n\n"
        f"Every strategy that trains passes over the pictures {EPOCHS} times; seeds {seeds}. "
        f"{NOTE} The held-out score sorts; test scores chose nothing.\n\n"
        f"{shown}\n{tables}\n"
        f"Written by `python -m benchmarks {study.name}` on {day}; {machine()}.\n",
        pictures,
    )


def _table(found: Found) -> str:
    told_rows = rows(found.configurations)
    head = list(told_rows[0]) if told_rows else ["nothing finished"]
    lines = [line(head), line(["---"] * len(head))]
    lines += [line(_plain(cell) for cell in row.values()) for row in told_rows]
    failed = "".join(f"- failed: `{overrides}`\n" for overrides in found.failed)
    overrides = " ".join(found.condition.overrides)
    return f"## {found.condition.name}\n\n`{overrides}`\n\n" + "\n".join(lines) + f"\n\n{failed}"


def _plain(cell: str) -> str:
    return cell.removeprefix("transfer=").replace("|", "\\|")


def _pictures(study: Study, found: Sequence[Found]) -> Iterator[tuple[str, str]]:
    if all(one.condition.amount for one in found):
        yield f"{study.name}.svg", standalone(_lines(study, found))
        return
    for one in found:
        differences = [
            Row(_plain(each.differs), difference.estimate, difference.p)
            for each in one.configurations
            for difference in each.differences
            if difference.baseline == BASELINES[0]
        ]
        if differences:
            title = f"{one.condition.name}: test top-1 against {BASELINES[0]}"
            svg = standalone(forest(differences, title, CONFIDENCE))
            yield f"{study.name}_{one.condition.name}.svg", svg


def _lines(study: Study, found: Sequence[Found]) -> Markup:
    """Test top-1 over labelled pictures a class, a line a strategy."""
    values = [
        {
            "strategy": _plain(each.differs),
            "amount": one.condition.amount,
            "value": each.test.value,
            "low": each.test.low,
            "high": each.test.high,
            "about": f"{_plain(each.differs)}, {one.condition.name}: {100 * each.test.value:.1f} %",
        }
        for one in found
        for each in one.configurations
        if each.test is not None
    ]
    names = sorted({str(value["strategy"]) for value in values})
    hues = [colour(SERIES[place % len(SERIES)]) for place in range(len(names))]
    dashes = [[1, 0] if place < len(SERIES) else [4, 2] for place in range(len(names))]
    dash = {"domain": names, "range": dashes}
    colours = nominal("strategy", scale={"domain": names, "range": hues})
    x = field("amount", title="labelled pictures a class", scale={"type": "log"})
    y = field("value", title="test top-1", axis=ticked(True), scale={"zero": False})
    marks = [
        layer("line", {"strokeWidth": 2}, strokeDash=nominal("strategy", scale=dash)),
        told("point", {"filled": True, "size": 40, "opacity": 1}),
    ]
    drawn = panel(values, (560, 340), marks, x=x, y=y, color=colours)
    note = "Means over seeds; the tables have the intervals."
    return vega_lite({"title": heading(study.title, note), **drawn}, study.title)
