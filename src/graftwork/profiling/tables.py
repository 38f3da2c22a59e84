"""Profiles in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from graftwork.process.terminal import literal
from graftwork.profiling.by_group import Group
from graftwork.profiling.formats import shape
from graftwork.profiling.layers import Layer
from graftwork.profiling.resources import Resources
from graftwork.reporting.numbers import millions, number, short

MIB = 2**20
WHOLE = "all"  # of the input
# Once, under the measurements.
SAID = ("batch_size", "precision", "device", "energy_source", "machine")
WIDE = 100  # characters of a terminal that has room for the kinds of layers


def show(found: Sequence[Resources], *, layers: bool, console: Console | None = None) -> None:
    """Prints the layers of each model (or their groups), then the totals of all."""
    console = console or Console()
    for one in found:
        rows = one.profile.layers if layers else one.profile.groups
        kinds = layers and console.width >= WIDE
        console.print(_resource_table(one, rows, kinds))
        for line in notes(one):
            console.print(literal(line), soft_wrap=True)
        console.print()
    console.print(_totals(found))
    if any(one.measured for one in found):
        console.print(_measurements(found))
        for line in _conditions(found):
            console.print(literal(line), soft_wrap=True)


def notes(one: Resources) -> list[str]:
    """What is worth saying under a model's table."""
    lines = []
    for remark in one.remarks:
        here = f"; here {remark.own}" if remark.own else ""
        mark = "" if remark.agrees else "differs: "
        why = f" ({remark.why})" if remark.why else ""
        lines.append(f"published, {mark}{remark.what}: {remark.quoted}{here}{why}")
    if one.accuracy:
        top5 = "" if one.accuracy.top5 is None else f", top-5 {one.accuracy.top5:.1f} %"
        size = "" if one.accuracy.size is None else f" at {one.accuracy.size} px"
        lines.append(
            f"ImageNet-1k: top-1 {one.accuracy.top1:.1f} %{top5}{size}, of these weights "
            f"({one.accuracy.source})"
        )
    return lines


def _table(heading: str, *, show_footer: bool = False) -> Table:
    return Table(
        title=literal(heading, "bold"),
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_footer=show_footer,
    )


def _resource_table(one: Resources, rows: Sequence[Layer | Group], kinds: bool) -> Table:
    profile = one.profile
    heading = f"{profile.model}, input {shape(profile.input)}, {profile.num_classes} classes"
    table = _table(heading, show_footer=True)
    table.add_column("layer" if rows is profile.layers else "group", "all", overflow="fold")
    if kinds:
        table.add_column("kind", no_wrap=True)
    table.add_column("output", no_wrap=True)
    kib = number(round(profile.activation_mib * 1024))
    totals = (kib, number(profile.parameters), millions(profile.macs), "")
    for name, total in zip(("KiB", "parameters", "M MAC", "sees px"), totals, strict=True):
        table.add_column(name, total, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            literal(row.name),
            *([literal(row.kind)] if kinds and isinstance(row, Layer) else []),
            shape(row.output) or "not run",
            number(round(row.activation_kib)) if row.output else "",
            number(row.parameters),
            millions(row.macs) if row.macs else "",
            sees(row) if row.output else "",
        )
    return table


def sees(row: Layer | Group) -> str:
    """The receptive field in words."""
    return WHOLE if row.receptive_field is None else str(row.receptive_field)


def _totals(found: Sequence[Resources]) -> Table:
    first = found[0]
    table = _table(
        f"Totals; outputs of all layers in fp32 for one image, a training step in "
        f"{first.precision} with a batch of {first.batch_size}"
    )
    table.add_column("model", overflow="fold")
    table.add_column("strategy", overflow="fold")
    for name in ("params", "trained", "MAC", "outputs\nMiB", "training\nMiB", "top-1\n%"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in found:
        profile = one.profile
        table.add_row(
            literal(profile.model),
            literal(one.transfer),
            short(profile.parameters),
            short(one.trainable_parameters),
            short(profile.macs),
            f"{profile.activation_mib:,.1f}",
            number(round(one.training_memory["total"] / MIB)),
            f"{one.accuracy.top1:.1f}" if one.accuracy else "",
        )
    return table


def _measurements(found: Sequence[Resources]) -> Table:
    table = _table("Measured on this machine")
    table.add_column("model", overflow="fold")
    measured = [one.measured or {} for one in found]
    columns = list(dict.fromkeys(name for one in measured for name in one if name not in SAID))
    for name in columns:
        table.add_column(literal(name.replace("_", " ")), justify="right")
    for one, values in zip(found, measured, strict=True):
        cells = (values.get(name) for name in columns)
        shown = ("" if cell is None else number(cell) for cell in cells)
        table.add_row(literal(one.profile.model), *shown)
    return table


def _conditions(found: Sequence[Resources]) -> list[str]:
    """How it was measured, each once."""
    values = [(name, one.measured.get(name)) for one in found if one.measured for name in SAID]
    words = [f"{name.replace('_', ' ')}: {value}" for name, value in values if value is not None]
    return list(dict.fromkeys(words))
