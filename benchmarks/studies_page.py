"""docs/NAME.md of a study: a table a condition, and a picture."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence

from markupsafe import Markup

from benchmarks.defaults_page import machine
from benchmarks.line_chart import Spot, lines
from benchmarks.memory import line
from benchmarks.studies import BASELINES, EPOCHS, Found, Study, asked
from graftwork.reporting.charts import standalone
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
        f"Written by `{_command(study, found)}` on {day}; {machine()}.\n",
        pictures,
    )


def _command(study: Study, found: Sequence[Found]) -> str:
    whole = asked(study.name)
    command = f"python -m benchmarks {study.name}"
    if study.seeds != whole.seeds:
        command += f" --seeds {' '.join(map(str, study.seeds))}"
    if len(found) < len(whole.conditions):
        command += f" --networks {' '.join(one.condition.name for one in found)}"
    return command


def _table(found: Found) -> str:
    told_rows = rows(found.configurations)
    head = list(told_rows[0]) if told_rows else ["nothing finished"]
    told = [line(head), line(["---"] * len(head))]
    told += [line(_plain(cell) for cell in row.values()) for row in told_rows]
    failed = "".join(f"- failed: `{overrides}`\n" for overrides in found.failed)
    overrides = " ".join(found.condition.overrides)
    return f"## {found.condition.name}\n\n`{overrides}`\n\n" + "\n".join(told) + f"\n\n{failed}"


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
        Spot(_plain(each.differs), one.condition.amount or 0, each.test.value)
        for one in found
        for each in one.configurations
        if each.test is not None
    ]
    note = "Means over seeds; the tables have the intervals."
    return lines(values, "labelled pictures a class", study.title, note, by_ratio=True)
