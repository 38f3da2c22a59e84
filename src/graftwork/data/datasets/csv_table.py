"""A table that names pictures and their labels."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from graftwork.config.errors import UserError, nearest_first
from graftwork.data.datasets.base import Dataset, Record
from graftwork.data.datasets.class_folders import SPLIT_NAMES
from graftwork.data.datasets.own_files import existing, leave_receipt, listing

CHECKED_ROWS = 5000  # before any work begins; the others when their turn comes

DELIMITERS = (",", ";", "\t", "|")  # the common ones


@dataclass(frozen=True)
class CsvTable(Dataset):
    """One picture a row: its file, its label, and perhaps its split and group."""

    path: str  # of the table; relative: to the project's folder
    delimiter: str  # one character; a tab may be written tab
    image_column: str
    label_column: str
    split_column: str | None  # its cells: train, val, test (or their usual synonyms), or empty
    group_column: str | None  # pictures of one group never part
    image_root: str | None  # pictures' names are relative to it; null: to the table's folder

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self._separator) != 1:
            raise UserError(
                f"delimiter: {self.delimiter!r} is not one character, such as ','. A tab may be "
                "written tab."
            )

    @property
    def _separator(self) -> str:
        return "\t" if self.delimiter in ("tab", "\\t") else self.delimiter

    def check(self) -> None:
        """Raises UserError for a missing file or column, or a wrong one of the first rows."""
        for _ in islice(self._rows(), CHECKED_ROWS):
            pass

    def download(self, raw: Path, downloads: Path) -> None:
        """Copies nothing: leaves a listing of what there is, every row checked."""
        counts = listing(self.records(raw))
        origin = str(existing(self.path, "file"))
        leave_receipt(raw, self.name, "a CSV table", {"origin": origin, **counts})

    def records(self, raw: Path) -> Iterator[Record]:
        yield from self._rows()

    def _rows(self) -> Iterator[Record]:
        table = existing(self.path, "file")
        if not table.is_file():
            raise UserError(f"dataset.path: {table} is a folder. Set dataset.path to a CSV file.")
        folder = self._folder(table)
        try:
            with table.open(newline="", encoding="utf-8-sig") as file:
                rows = csv.DictReader(file, delimiter=self._separator)
                self._check_columns(table, rows.fieldnames or [])
                number = 1  # as spreadsheets count: the header is row 1
                for number, row in enumerate(rows, start=2):
                    yield self._record(row, folder, f"dataset.path: {table}, row {number}")
        except (UnicodeDecodeError, csv.Error) as error:
            raise UserError(f"dataset.path: {table} is no table in UTF-8: {error}.") from error
        if number == 1:
            raise UserError(f"dataset.path: {table} has no rows below its header.")

    def _folder(self, table: Path) -> Path:
        """What pictures' names are relative to."""
        if not self.image_root:
            return table.parent
        return existing(self.image_root, "folder", "image_root")

    def _check_columns(self, table: Path, names: Sequence[str]) -> None:
        for key in ("image_column", "label_column", "split_column", "group_column"):
            wanted = getattr(self, key)
            if wanted is not None and wanted not in names:
                legal = ", ".join(nearest_first(wanted, names)) or "none"
                raise UserError(
                    f"dataset.{key}: '{wanted}' is no column of {table}. Legal: {legal}."
                    f"{self._other_delimiter(names)}"
                )

    def _other_delimiter(self, names: Sequence[str]) -> str:
        """A hint where the header looks like a table's that is divided otherwise."""
        for other in DELIMITERS:
            if other != self._separator and any(other in name for name in names):
                # The quotes within are Hydra's, the ones around the shell's.
                key = (
                    "dataset.delimiter=tab" if other == "\t" else f"\"dataset.delimiter='{other}'\""
                )
                return f" Its header is divided by {other!r}, it seems: set {key}."
        return ""

    def _record(self, row: dict[str, str | None], folder: Path, where: str) -> Record:
        name = self._cell(row, self.image_column, where)
        path = (folder / name).absolute()
        if not path.is_file():
            raise UserError(
                f"{where}: no such picture: {path}. Mend the row, or set dataset.image_root."
            )
        group = self._cell(row, self.group_column, where) if self.group_column else None
        return Record(
            path, self._cell(row, self.label_column, where), self._split(row, where), group
        )

    def _split(self, row: dict[str, str | None], where: str) -> str | None:
        name = (row[self.split_column] or "").strip() if self.split_column else ""
        if name and name.lower() not in SPLIT_NAMES:
            legal = ", ".join(nearest_first(name, SPLIT_NAMES))
            raise UserError(f"{where}: '{name}' is no split. Legal: {legal}, or an empty cell.")
        return SPLIT_NAMES[name.lower()] if name else None

    @staticmethod
    def _cell(row: dict[str, str | None], column: str, where: str) -> str:
        value = (row[column] or "").strip()
        if not value:
            raise UserError(f"{where}: column '{column}' is empty. Fill it, or remove the row.")
        return value
