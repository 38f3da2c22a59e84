"""The curves of a training: one row of numbers an epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from graftwork.storage import csv_tables

Row = dict[str, float]
Told = Callable[[Row, int], None]  # numbers of an epoch and its number; 0 is before training

CURVES = {f"{split}/{name}" for split in ("train", "val") for name in ("loss", "top1")}


@dataclass(frozen=True)
class History:
    """The curves so far, and who is told of each further row."""

    rows: list[Row]
    told: Told

    @classmethod
    def unheard(cls) -> History:
        """Of a training that nobody is told of."""
        return cls([], lambda row, epoch: None)

    def add(self, row: Row, epoch: int) -> None:
        """The numbers of an epoch that has ended; those of a new attempt count on."""
        self.rows.append({"epoch": epoch, **row})
        self.told(row, epoch)

    def tell_again(self, rows: Sequence[Row]) -> None:
        """Of a training that goes on: what is recorded already, the recorder knows."""
        for row in rows:
            self.add({name: row[name] for name in row if name != "epoch"}, int(row["epoch"]))

    @property
    def last_epoch(self) -> int:
        """0 before the first: a computed head's row is of epoch 0."""
        return int(self.rows[-1]["epoch"]) if self.rows else 0


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
