"""A folder of class folders, with or without train, val and test."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from graftwork.config.errors import UserError
from graftwork.data.datasets.base import Dataset, Record
from graftwork.data.datasets.class_folders import (
    class_folders,
    image_suffixes,
    owners,
    pictures,
    stray_pictures,
)
from graftwork.data.datasets.left_out import LeftOut, legible
from graftwork.data.datasets.own_files import existing, leave_receipt, listing


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
            raise UserError(f"dataset.path: {root} is a file. Set dataset.path to a folder.")
        filled: dict[str, bool] = {}
        left_out = defaultdict[str, LeftOut](LeftOut)
        folders = class_folders(root)
        owners(folders)
        for folder in folders:
            has = any(True for _ in pictures(folder.path, root, left_out[folder.label]))
            filled[folder.label] = filled.get(folder.label, False) or has
        empty = [label for label, has in filled.items() if not has]
        if len(empty) == len(filled):
            raise _no_pictures(root, _instead(left_out))
        if empty:
            raise UserError(
                f"dataset.path: no pictures in the class folder "
                f"{', '.join(map(repr, empty[:5]))} of {root}."
                f"{_instead({label: left_out[label] for label in empty})} Add some, or remove the "
                "folder (one beginning with '.' is ignored)."
            )
        if len(filled) < 2:
            raise UserError(
                f"dataset.path: {root} holds the one class '{next(iter(filled))}'; at least two "
                f"are needed. Each class is a folder of its own: {root}/<class>/photo.jpg."
            )

    def labelled_folder(self) -> Path:
        return existing(self.path, "folder")

    def download(self, raw: Path, downloads: Path) -> None:
        """Copies nothing: leaves a listing of what there is, and of what is passed over."""
        self.check()
        root, left_out = existing(self.path, "folder"), LeftOut()
        counts = listing(self._records(root, left_out))
        stray = [legible(path) for path in stray_pictures(root, left_out)]
        facts = {
            "origin": str(root),
            **counts,
            "outside_of_class_folders": {"pictures": len(stray), "first": stray[:20]},
            "left_out": left_out.receipt(),
        }
        leave_receipt(raw, self.name, "a folder of photos", facts)

    def records(self, raw: Path) -> Iterator[Record]:
        yield from self._records(existing(self.path, "folder"), LeftOut())

    @staticmethod
    def _records(root: Path, left_out: LeftOut) -> Iterator[Record]:
        folders = class_folders(root)
        owned = owners(folders)
        for folder in folders:
            for path in pictures(folder.path, root, left_out, owned):
                yield Record(path, folder.label, folder.split)


_LEGAL = f" Legal: {' '.join(sorted(image_suffixes()))}."


def _instead(left_out: Mapping[str, LeftOut]) -> str:
    """What class folders without a picture hold, and what they should."""
    named = [f"'{label}' holds {found}" for label, found in left_out.items() if str(found)]
    if not named:
        return ""
    return f" {'; '.join(named[:5])}.{_LEGAL}"


def _no_pictures(root: Path, instead: str) -> UserError:
    if stray_pictures(root):
        return UserError(
            f"dataset.path: {root} holds pictures but no class folders. Make one folder a class: "
            f"{root}/<class>/photo.jpg; or use dataset=csv with a table of labels."
        )
    return UserError(
        f"dataset.path: no pictures in {root}. Looked for {root}/<class>/* and "
        f"{root}/<split>/<class>/*.{instead or _LEGAL}"
    )
