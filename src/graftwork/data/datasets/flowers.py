"""Flower photos of the TensorFlow team (2019): photos under Creative Commons, one licence each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from graftwork.data.datasets.base import Record
from graftwork.data.datasets.class_folders import class_folders, pictures
from graftwork.data.datasets.published import Published
from graftwork.data.sources.unpacking import unpack

UNPACKED = "archive"
PHOTOS = f"{UNPACKED}/flower_photos"  # the folder that the archive holds


@dataclass(frozen=True)
class Flowers(Published):
    """3,670 photos of daisies, dandelions, roses, sunflowers and tulips, without splits."""

    def unpack(self, file: Path, folder: Path) -> None:
        unpack(file, folder / UNPACKED)

    def records(self, raw: Path) -> Iterator[Record]:
        root = raw / PHOTOS
        for folder in class_folders(root):
            for path in pictures(folder.path, root):
                yield Record(path, folder.label, None)
