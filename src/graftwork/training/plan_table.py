"""The plan of a training as a terminal shows it, and what is said of its drift afterwards."""

from __future__ import annotations

import math
import sys

from rich import box
from rich.console import Console
from rich.table import Table

from graftwork.process.terminal import literal
from graftwork.training.audit_record import Audit, Group, Span

NONE = "–"


def show_plan(audit: Audit) -> None:
    """Prints it to standard error, where training tells how it goes."""
    console = Console(stderr=True)
    console.print(table(audit))
    for note in audit.notes:
        console.print(literal(note))
    for warning in audit.warnings:
        console.print(literal(f"graftwork: {warning}", "bold yellow"))


def table(audit: Audit) -> Table:
    """A row a layer group, and one more for each further stretch of epochs."""
    found = Table(title="What is trained", title_justify="left", box=box.SIMPLE_HEAD)
    found.padding, found.pad_edge = (0, 1), False
    found.add_column("group", no_wrap=True)
    for name in ("size", "trained", "epochs", "peak rate", "decay"):
        found.add_column(name, justify="right", no_wrap=True)
    found.add_column("BatchNorm", no_wrap=True)
    for group in audit.groups:
        for number, (trained, epochs) in enumerate(_when(group)):
            first = [literal(group.name), amount(group.parameters)] if not number else ["", ""]
            settings = [_rates(group), _decay(group), group.batch_norm or NONE]
            found.add_row(*first, trained, epochs, *(settings if not number else ["", "", ""]))
    return found


def _when(group: Group) -> list[tuple[str, str]]:
    """How many of its parameters are trained in which epochs."""
    if not group.spans:
        return [(NONE, NONE)]
    return [
        ("all" if span.trained == group.parameters else amount(span.trained), _epochs(span))
        for span in group.spans
    ]


def _epochs(span: Span) -> str:
    return f"{span.first}" if span.first == span.last else f"{span.first} to {span.last}"


def _rates(group: Group) -> str:
    if group.lowest_rate is None or group.highest_rate is None:
        return NONE
    low, high = (_power(rate) for rate in (group.lowest_rate, group.highest_rate))
    return low if low == high else f"{low} to {high}"


def _power(rate: float) -> str:
    """Two digits of a rate: `6.4e-5`."""
    if not math.isfinite(rate):
        return str(rate)
    digits, _, power = f"{rate:.1e}".partition("e")
    return f"{digits}e{int(power)}"


def _decay(group: Group) -> str:
    return NONE if group.weight_decay is None else f"{group.weight_decay:g}"


def amount(count: int) -> str:
    """Of parameters, in at most five characters."""
    for power, unit in ((9, "G"), (6, "M"), (3, "k")):
        if count >= 0.9995 * 10**power:
            value = count / 10**power
            return f"{value:.{0 if value >= 99.95 else 1 if value >= 9.995 else 2}f} {unit}"
    return str(count)


def say_drift(audit: Audit) -> None:
    """How far statistics moved where weights did not; nothing where none did."""
    found = [
        f"{group.name} {100 * group.statistics_moved:.2g} %"
        for group in audit.groups
        if group.statistics_moved and not group.trained
    ]
    if found:
        print(
            "graftwork: frozen layers have drifted: statistics of BatchNorm moved by "
            f"{', '.join(found)} of their size, while the weights stayed",
            file=sys.stderr,
        )
