"""The curves of a training: one row of numbers an epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from graftwork.storage import csv_tables

Row = dict[str, float]
Told = Callable[[Row, int], None]  # numbers of an epoch and its number; 0 is before training

CURVES = {f"{split}/{name}" for split in ("train", "val") for name in ("loss", "top1")}


def kept_first(path: Path, told: Told) -> Told:
    """Tells on, having written the curves so far: whatever a recorder does, they stand."""
    rows: list[Row] = []

    def tell(row: Row, epoch: int) -> None:
        rows.append({"epoch": epoch, **row})
        write_history(rows, path)
        told(row, epoch)

    return tell


def write_history(rows: Sequence[Row], path: Path) -> None:
    """Training curves as CSV, the epoch first; the columns that dvc.yaml plots are always there."""
    names = sorted({name for row in rows for name in row} - {"epoch"} | CURVES)
    csv_tables.write(path, ["epoch", *names], rows)
