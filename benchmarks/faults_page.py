"""The page of `benchmarks.faults`."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.defaults_page import machine
from benchmarks.memory import line

HEAD = ("injection", "what must happen", "ours", "stock", "command", "seconds: ours, stock")


def written(
    ours: Sequence[Mapping[str, Any]],
    stock: Mapping[str, Mapping[str, Any]],
    seed: int,
) -> str:
    """The page.

    Args:
        ours: rows of `make chaos`.
        stock: by the names that those rows have in `stock`.
    """
    rows = [_row(row, stock.get(row["stock"]), seed) for row in ours]
    day = datetime.date.today().isoformat()
    seconds = sum(int(row["seconds"]) for row in (*ours, *stock.values()))
    return (
        "# Faults, and what comes of them\n\n"
        "Each injection is done for real: kills by -9, signals, disks that are full, a locked or "
        "killed store, DVC killed in the midst, on trainings of tiny_cnn on small photos. *Ours* "
        "and *stock* say how many of the trials ended as they should. Stock are Lightning's own "
        "Trainer and ModelCheckpoint (a checkpoint every step, resumed by `ckpt_path`) and "
        "MLflow's own client, under the same injection; where there is none, stock has no such "
        "part or was not tried.\n\n"
        + "\n".join([line(HEAD), line(["---"] * len(HEAD)), *rows])
        + f"\n\nWritten by `python -m benchmarks faults` with seed {seed} on {day}, two "
        f"subjects at a time, which took {seconds / 60:.0f} minutes together; {machine()}.\n"
    )


def _row(row: Mapping[str, Any], stock: Mapping[str, Any] | None, seed: int) -> str:
    injection, _, wanted = row["what"].partition(": ")
    said = [f"{each['held']} of {each['trials']}{_note(each)}" for each in (row, stock) if each]
    took = [str(each["seconds"]) for each in (row, stock) if each]
    command = f'`make chaos ARGS="{row["subject"]} --seed {seed}"`'
    return line((injection, wanted, said[0], *(said[1:] or ["-"]), command, ", ".join(took)))


def _note(row: Mapping[str, Any]) -> str:
    return f" ({row['note']})" if row["note"] else ""
