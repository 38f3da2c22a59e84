"""Configurations of a sweep for a terminal, for a browser, and for other programs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from graftwork.metrics.paired import Estimate
from graftwork.process.terminal import literal
from graftwork.reporting.numbers import short
from graftwork.storage import csv_tables
from pipelines.configurations import BEST, Configuration, Difference
from pipelines.ranking_tables import WIDE

if TYPE_CHECKING:
    from pipelines.sweep_costs import Section

ASIDE = ("seeds", "seconds", "trained")  # columns
BRACKETS = re.compile(r" \([^)]*\)")  # an interval
HEADING = "Configurations, seeds taken together"
NOTE = (
    "Means with their intervals over pictures and seeds; held-out: smallest to largest seed where "
    "seeds had other pictures. Differences are paired picture by picture and seed by seed; p is "
    "adjusted for all comparisons with the same baseline (Holm). Those to the best are of the "
    "test where every test was looked at, else of the held-out pictures that chose it."
)


def worth_telling(found: Sequence[Configuration]) -> bool:
    """Whether there is more to say than the ranking of single jobs does."""
    seeds = any(len(one.jobs) > 1 for one in found)
    compared = any(d.baseline != BEST for one in found for d in one.differences)
    return len(found) > 1 and (seeds or compared)


def table(found: Sequence[Configuration], width: int) -> Table:
    """For a terminal.

    Args:
        width: characters; where there are few, intervals and some columns are left to ranking.html.
    """
    narrow = width < WIDE
    told = [_essential(row) if narrow else row for row in rows(found)]
    for row in told:
        del row["verdict"]  # p says it in less room
    shown = Table(title=HEADING, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), caption=NOTE)
    for name in told[0]:
        first = name == "what differs"
        shown.add_column(
            name.replace(" ", "\n", 1),
            justify="left" if first else "right",
            overflow="fold",
            no_wrap=not first,
            min_width=24 if first else None,
        )
    for row in told:
        shown.add_row(*map(literal, row.values()))
    return shown


def _essential(row: dict[str, str]) -> dict[str, str]:
    """Without intervals, and what a ranking tells of the jobs too."""
    kept = {name: cell for name, cell in row.items() if name not in ASIDE}
    return {
        name: cell if name == "what differs" else BRACKETS.sub("", cell)
        for name, cell in kept.items()
    }


def section(found: Sequence[Configuration], confidence: float) -> Section:
    """For the sweep's page: the table, and for each baseline a picture of the differences."""
    from graftwork.reporting.forest_plot import Row, forest
    from pipelines.sweep_costs import Section

    told = rows(found)
    pictures = [
        forest(
            [
                Row(one.differs, difference.estimate, difference.p)
                for one in found
                for difference in one.differences
                if difference.baseline == baseline and difference.is_test
            ],
            f"Test top-1 against {baseline}",
            confidence,
        )
        for baseline in _baselines(found, of_tests=True)
    ]
    cells = [list(row.values()) for row in told]
    return Section(HEADING, [NOTE], pictures, list(told[0]), cells)


def _baselines(found: Sequence[Configuration], of_tests: bool = False) -> list[str]:
    named = (d for one in found for d in one.differences if d.is_test or not of_tests)
    return sorted(dict.fromkeys(d.baseline for d in named), key=lambda name: name != BEST)


def rows(found: Sequence[Configuration]) -> list[dict[str, str]]:
    """A row a configuration, by column; for people."""
    baselines = _baselines(found)
    return [
        {
            "what differs": one.differs,
            "seeds": str(len(one.jobs)),
            "held-out top-1 %": _held_out(one),
            "test top-1 %": _interval(one.test),
            **{f"to {name}": _told(_to(one, name)) for name in baselines},
            "verdict": one.verdict,
            "seconds": f"{one.seconds:.0f}",
            "trained": short(one.trained) if one.trained is not None else "",
        }
        for one in found
    ]


def _to(one: Configuration, baseline: str) -> Difference | None:
    return next((found for found in one.differences if found.baseline == baseline), None)


def _held_out(one: Configuration) -> str:
    if one.selection is None or one.selection_range is None:
        return "no score"
    if one.held_out is not None:
        return _interval(one.held_out)
    low, high = one.selection_range
    ends = f" ({100 * low:.1f}-{100 * high:.1f})" if len(one.jobs) > 1 else ""
    return f"{100 * one.selection:.1f}{ends}"


def _interval(test: Estimate | None) -> str:
    if test is None:
        return "not looked at"
    return f"{100 * test.value:.1f} ({100 * test.low:.1f}-{100 * test.high:.1f})"


def _told(difference: Difference | None) -> str:
    if difference is None:
        return ""
    found = difference.estimate
    ends = f"({100 * found.low:+.1f} to {100 * found.high:+.1f})"
    return f"{100 * found.value:+.1f} {ends} p {difference.p:.3f}"


def as_csv(found: Sequence[Configuration]) -> str:
    """For other programs: full precision, shares instead of per cent."""
    baselines = _baselines(found)
    rows = [_plain(one, baselines) for one in found]
    return csv_tables.as_csv(csv_tables.columns_of(rows), rows)


def as_metrics(found: Sequence[Configuration]) -> dict[str, float]:
    """For MLflow, whose pages draw names with the same beginning side by side: `test_top1/NAME`."""
    baselines = _baselines(found)
    return {
        f"{column}/{one.differs}": float(value)
        for one in found
        for column, value in _plain(one, baselines).items()
        if isinstance(value, int | float)
    }


def as_tags(found: Sequence[Configuration]) -> dict[str, str]:
    """Likewise what is said in words."""
    return {f"verdict/{one.differs}": one.verdict for one in found if one.verdict}


def _plain(one: Configuration, baselines: Sequence[str]) -> dict[str, Any]:
    low, high = one.selection_range or (None, None)
    row: dict[str, Any] = {"differs": one.differs, "seeds": len(one.jobs)}
    row |= {"selection_top1": one.selection, "selection_low": low, "selection_high": high}
    row |= _ends("held_out_top1", one.held_out) | _ends("test_top1", one.test)
    for baseline in baselines:
        difference = _to(one, baseline)
        row |= _ends(f"to_{baseline}", difference.estimate if difference else None)
        row[f"to_{baseline}_p"] = difference.p if difference else None
    row["verdict"] = one.verdict
    return row | {"seconds": one.seconds, "trained_parameters": one.trained}


def _ends(name: str, found: Estimate | None) -> dict[str, float | None]:
    value, low, high = (found.value, found.low, found.high) if found else (None, None, None)
    return {name: value, f"{name}_low": low, f"{name}_high": high}
