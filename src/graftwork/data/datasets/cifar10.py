"""CIFAR-10 (Krizhevsky 2009), published as sheets: each row of a sheet is one picture."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from graftwork.config.errors import UserError
from graftwork.data.datasets.published_folders import PublishedFolders
from graftwork.data.sources.unpacking import unpack
from graftwork.process.progress import Seen, count_bar

# index = label
CLASSES = "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"
SIDE = 32  # px
SHEETS = {  # labels (spelt so by the publisher) and sheets of each split
    "train": ("train_lables.json", [f"data_batch_{number}.png" for number in range(1, 6)]),
    "test": ("test_lables.json", ["test_batch.png"]),
}


@dataclass(frozen=True)
class Cifar10(PublishedFolders):
    """50,000 training and 10,000 test pictures of 32 x 32 px, 10 classes."""

    @property
    def class_names(self) -> tuple[str, ...]:
        return CLASSES

    def unpack(self, file: Path, folder: Path) -> None:
        """`<split>/<class>/<number in the split>.png`."""
        sheets = folder / "sheets"
        unpack(file, sheets)
        labels = {
            split: json.loads(_single(sheets, name).read_text())
            for split, (name, _) in SHEETS.items()
        }
        with count_bar("pictures", sum(map(len, labels.values()))) as seen:
            done = 0
            for split, (_, names) in SHEETS.items():
                paths = [_single(sheets, name) for name in names]
                done = _cut(paths, labels[split], folder / split, done, seen)
        shutil.rmtree(sheets)


def _cut(sheets: list[Path], labels: list[int], folder: Path, done: int, seen: Seen) -> int:
    """Writes every row of the sheets as a PNG of its own; returns how many there are by then."""
    import numpy as np
    from PIL import Image

    for name in CLASSES:
        (folder / name).mkdir(parents=True)
    number = 0
    for path in sheets:
        with Image.open(path) as sheet:
            rows = np.asarray(sheet.convert("RGB"))
        for index, pixels in enumerate(rows.reshape(-1, SIDE, SIDE, 3), start=number):
            if index < len(labels):
                target = folder / CLASSES[labels[index]] / f"{index:05d}.png"
                Image.fromarray(pixels).save(target, compress_level=1)
        number += len(rows)
        seen(done + number)
    if number != len(labels):
        raise UserError(f"{folder.name}: {number} pictures but {len(labels)} labels came.")
    return done + number


def _single(folder: Path, name: str) -> Path:
    found = sorted(folder.rglob(name))
    if len(found) != 1:
        raise UserError(f"CIFAR-10: '{name}' is missing in what was fetched.")
    return found[0]
