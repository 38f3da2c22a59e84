"""A folder of class folders, with or without train, val and test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from graftwork.datasets.base import Dataset, Record
from graftwork.datasets.class_folders import (
    IMAGE_SUFFIXES,
    class_folders,
    pictures,
    stray_pictures,
)
from graftwork.datasets.own_files import existing, listing
from graftwork.errors import UserError
from graftwork.files import write_json


@dataclass(frozen=True)
class Folder(Dataset):
    """The user's own photos: `path/<class>/...` or `path/<split>/<class>/...`.

    Classes are told apart by name, in whatever split they occur.
    """

    path: str  # relative: to the project's folder

    def check(self) -> None:
        """Raises UserError unless there are pictures of at least two classes."""
        root = existing(self.path, "folder")
        if not root.is_dir():
            raise UserError(f"path: {root} is a file. Set dataset.path to a folder.")
        filled = {folder.label: False for folder in class_folders(root)}
        for folder in class_folders(root):
            filled[folder.label] |= any(True for _ in pictures(folder.path, root))
        empty = [label for label, has in filled.items() if not has]
        if len(empty) == len(filled):
            raise _no_pictures(root)
        if empty:
            raise UserError(
                f"path: no pictures in the class folder {', '.join(map(repr, empty[:5]))} of "
                f"{root}. Add some, or remove the folder (one beginning with '.' is ignored)."
            )
        if len(filled) < 2:
            raise UserError(
                f"path: {root} holds the one class '{next(iter(filled))}'; at least two are "
                "needed. Each class is a folder of its own: "
                f"{root}/<class>/photo.jpg."
            )

    def download(self, raw: Path, downloads: Path) -> None:
        """Copies nothing: leaves a listing of what there is."""
        self.check()
        root = existing(self.path, "folder")
        stray = [str(path) for path in stray_pictures(root)]
        receipt = {
            "dataset": self.name,
            "origin": str(root),
            **listing(self.records(raw)),
            "outside_of_class_folders": {"pictures": len(stray), "first": stray[:20]},
        }
        write_json(raw / "source.json", receipt)

    def records(self, raw: Path) -> Iterator[Record]:
        root = existing(self.path, "folder")
        for folder in class_folders(root):
            for path in pictures(folder.path, root):
                yield Record(path, folder.label, folder.split)


def _no_pictures(root: Path) -> UserError:
    if stray_pictures(root):
        return UserError(
            f"path: {root} holds pictures but no class folders. Make one folder a class: "
            f"{root}/<class>/photo.jpg; or use dataset=csv with a table of labels."
        )
    return UserError(
        f"path: no pictures in {root}. Looked for {root}/<class>/* and {root}/<split>/<class>/* "
        f"with {' '.join(sorted(IMAGE_SUFFIXES))}."
    )
