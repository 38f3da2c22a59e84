"""`graftwork compare`: finished runs against each other, with what chance alone would do."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from graftwork.comparing.page import page, words
from graftwork.comparing.pairs import POWER, Pair, System, pairs, systems
from graftwork.comparing.recorded import recorded
from graftwork.config.errors import UserError
from graftwork.process.terminal import literal
from graftwork.reporting.numbers import duration, number, percent, short


def compare(
    runs: Sequence[str], root: Path, html: Path | None, console: Console | None = None
) -> None:
    """Prints how the runs compare; writes a page where one is asked for.

    Args:
        runs: folders or `run:ID`, two at least.
        root: the project's folder.

    Raises:
        UserError: for a run that cannot be compared with the others.
    """
    if len(runs) < 2:
        raise UserError("RUN: one run cannot be compared. Name two or more.")
    console = console or Console()
    with tempfile.TemporaryDirectory() as folder:
        known = recorded(runs, root, Path(folder))
        confidence = float(known[0].result["confidence"])
        found = systems(known, confidence)
        if len(found) < 2:
            raise UserError(
                "RUN: all of these are one configuration with several seeds. Name a run of another "
                "one to compare it with."
            )
        compared = pairs(found, confidence)
        console.print(_systems(found, confidence))
        console.print(_pairs(compared, confidence))
        said = sentences(found, compared)
        for sentence in said:
            console.print(literal(sentence))
        if html is not None:
            html.parent.mkdir(parents=True, exist_ok=True)
            html.write_text(page(found, compared, confidence, said), encoding="utf-8")
            console.print(literal(f"written: {html}"), soft_wrap=True)


def _systems(found: Sequence[System], confidence: float) -> Table:
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown.add_column("what differs", overflow="fold")
    for name in ("seeds", f"test top-1 % ({percent(confidence, 0)})", "seconds", "parameters"):
        shown.add_column(name, justify="right")
    for one in found:
        top1 = one.top1
        seconds = sum(run.seconds for run in one.runs) / len(one.runs)
        score = f"{100 * top1.value:.1f} ({100 * top1.low:.1f} to {100 * top1.high:.1f})"
        parameters = one.runs[0].result["cost"]["parameters"]
        cells = one.name, str(len(one.runs)), score, duration(seconds), short(parameters)
        shown.add_row(*map(literal, cells))
    return shown


def _pairs(compared: Sequence[Pair], confidence: float) -> Table:
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown.add_column("first − second", overflow="fold")
    for name in (f"points ({percent(confidence, 0)})", "p (Holm)", "pictures to tell"):
        shown.add_column(name, justify="right")
    for pair in compared:
        gain = pair.gain
        points = f"{100 * gain.value:+.1f} ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
        needed = "–" if pair.needed is None else number(pair.needed)
        cells = words(pair), points, f"{pair.p:.2g}", needed
        shown.add_row(*(literal(cell, "bold" if pair.is_told else "") for cell in cells))
    return shown


def sentences(found: Sequence[System], compared: Sequence[Pair]) -> list[str]:
    """What the numbers do and do not say."""
    count = len(found[0].runs[0].right)
    told = [pair for pair in compared if pair.is_told]
    said = [
        f"{len(told)} of {len(compared)} differences are more than chance explains "
        f"(p below 0.05 after Holm), on the same {number(count)} test pictures."
    ]
    if len(told) < len(compared):
        said.append(
            f"'Pictures to tell': with so many test pictures, and these seeds, a difference of "
            f"that size would be told {percent(POWER, 0)} of the time."
        )
    if any(len(one.runs) == 2 for one in found):
        said.append(
            "Two seeds hardly tell how far trainings differ: a third narrows an interval more than "
            "many pictures."
        )
    if any(len(one.runs) == 1 for one in found):
        said.append("One seed: another training of the same kind would have given another number.")
    said.append(
        "Whoever chooses by these numbers chooses on the test: held-out scores are for that."
    )
    return said
