"""210 flower photos of ten kinds, as an example of the package clustimage (Taskesen 2020, MIT)."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from graftwork.config.errors import UserError
from graftwork.data.datasets.base import Record
from graftwork.data.datasets.published import Published
from graftwork.data.sources.unpacking import Limits, unpack

UNPACKED = "archive"
PHOTOS = f"{UNPACKED}/flower_images"  # the folder that the archive holds
TABLE = "flower_labels.csv"
# Index = label: the table has numbers only. Names by looking; photos of a class are unmistakable.
CLASSES = (
    *("phlox", "rose", "calendula", "iris", "daisy"),
    *("bellflower", "viola", "rudbeckia", "peony", "columbine"),
)  # fmt: skip
LIMITS = Limits(files=1000, size=64 << 20)


@dataclass(frozen=True)
class SmallFlowers(Published):
    """15 to 26 photos a class, 128 px (a few 208), without splits."""

    def unpack(self, file: Path, folder: Path) -> None:
        """The photos and their table; a table that does not fit the photos is found here."""
        unpack(file, folder / UNPACKED, LIMITS)
        photos = folder / PHOTOS
        if not (photos / TABLE).is_file():
            raise UserError(f"Small flowers: '{TABLE}' is missing in what was fetched.")
        names = {path.name for path in photos.glob("*.png")}
        listed = {record.path.name for record in self.records(folder)}
        if odd := sorted(names ^ listed):
            raise UserError(f"Small flowers: '{odd[0]}' is in {TABLE} or in the archive, not both.")

    def records(self, raw: Path) -> Iterator[Record]:
        """Every photo, in the order of the table."""
        with (raw / PHOTOS / TABLE).open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            for column in ("file", "label"):
                if column not in (rows.fieldnames or ()):
                    raise UserError(f"Small flowers: there is no column '{column}' in {TABLE}.")
            for row in rows:
                yield Record(_photo(raw / PHOTOS, row["file"]), _name(row["label"]), None)


def _photo(folder: Path, name: str) -> Path:
    if name != Path(name).name:
        raise UserError(f"Small flowers: {name!r} is no file of the archive.")
    return folder / name


def _name(label: str) -> str:
    if label not in map(str, range(len(CLASSES))):
        raise UserError(f"Small flowers: label {label!r} in {TABLE}. Legal: 0 to 9.")
    return CLASSES[int(label)]
