"""A data set that lists what a test draws, for tests of what prepare makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from graftwork.data import manifest
from graftwork.data.datasets.base import Dataset, Record, Splits
from graftwork.storage.artifacts import Artifacts


@dataclass(frozen=True)
class Listed(Dataset):
    """A data set that lists what a test gives it."""

    listed: list[Record] = field(default_factory=list)

    def download(self, raw: Path, downloads: Path) -> None: ...

    def records(self, raw: Path) -> Iterator[Record]:
        return iter(self.listed)


class Photos:
    """Draws photos and lists them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.records = folder, list[Record]()

    def add(self, label: str, split: str | None = None, count: int = 1, **options) -> list[Path]:
        return [self._draw(label, split, **options) for _ in range(count)]

    def _draw(self, label, split, *, content: bytes | None = None, group=None, side=20) -> Path:
        path = self.folder / f"{len(self.records):03d}.png"
        if content is None:
            noise = np.random.default_rng(len(self.records)).integers(0, 256, (side, side + 4, 3))
            Image.fromarray(noise.astype(np.uint8)).save(path)
        else:
            path.write_bytes(content)
        self.records.append(Record(path, label, split, group))
        return path

    def dataset(self, **changes) -> Listed:
        splits = Splits(val_fraction=0.2, test_fraction=0.2, seed=0, train_per_class=None)
        values = {
            "name": "listed",
            "licence": None,
            "watched": ".",
            "decoded_side": 16,
            "decoded_budget_gib": 1.0,
            "max_pixels": 10**6,
            "unreadable": "skip",
            "leakage": "report",
            "unlabelled": None,
            "unlabelled_watched": {},
            "splits": splits,
            **changes,
        }
        return Listed(**values, listed=self.records)


def verdicts(artifacts: Artifacts) -> dict[str, str]:
    frame = manifest.read(artifacts.manifest)
    return {Path(row.path).name: row.verdict for row in frame.itertuples()}
