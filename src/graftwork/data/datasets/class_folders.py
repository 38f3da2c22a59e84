"""Pictures in folders that are named for their classes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from graftwork.config.errors import UserError
from graftwork.data.datasets.left_out import HEIC_SUFFIXES, LeftOut, check_name, legible

IMAGE_SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".jp2", ".gif"),
        *(".bmp", ".dib", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"),
    )
)
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
Identity = tuple[int, int]  # device and inode: the same folder by whatever name


@dataclass(frozen=True)
class ClassFolder:
    """The pictures of one class in one split."""

    path: Path
    label: str  # class name: the folder's
    split: str | None  # train, val or test; None: the folders do not say


@cache
def image_suffixes() -> frozenset[str]:
    """Endings of the files that can be read here: of HEIC with the package for it alone."""
    heic = HEIC_SUFFIXES if find_spec("pillow_heif") else ()
    return IMAGE_SUFFIXES.union(heic)


def class_folders(root: Path) -> list[ClassFolder]:
    """Class folders in a fixed order, from `root/<class>` or `root/<split>/<class>`.

    A folder is a split where its name says so (train, val, validation, test, ...) and it holds
    folders; so a class of plain pictures may be called `train`.

    Raises:
        UserError: split folders beside other ones, or a name that is not in UTF-8.
    """
    found = _subfolders(root)
    splits = [folder for folder in found if _is_split(folder)]
    if not splits:
        return [_class_folder(folder, None) for folder in found]
    others = [legible(folder.name) for folder in found if folder not in splits]
    if others:
        raise UserError(
            f"dataset: {root}: split folders ({', '.join(f.name for f in splits)}) beside other "
            f"folders ({', '.join(others[:5])}). Move the others away, or into a split."
        )
    return [
        _class_folder(folder, SPLIT_NAMES[split.name.lower()])
        for split in sorted(splits, key=_split_order)
        for folder in _subfolders(split)
    ]


def pictures(
    folder: Path,
    root: Path,
    left_out: LeftOut | None = None,
    owned: Mapping[Identity, str] | None = None,
) -> Iterator[Path]:
    """Pictures below a folder, at any depth, in a fixed order; hidden ones are left out.

    Links are followed, but never back into a folder that they lie in.

    Args:
        root: the folder that the search began with: a link back to it ends there too.
        left_out: counts what is no picture.
        owned: class names of folders that no link below this one, a class, may lead to.

    Raises:
        UserError: a link leads to the folder of another class.
    """
    above = frozenset(map(identity, (root, folder.parent)))
    label = (owned or {}).get(identity(folder), "")
    yield from _pictures(folder, above, left_out or LeftOut(), owned or {}, label)


def owners(folders: Iterable[ClassFolder]) -> dict[Identity, str]:
    """Whose folder each of them is, by class name.

    Raises:
        UserError: two classes are one folder by two names.
    """
    found: dict[Identity, ClassFolder] = {}
    for folder in folders:
        first = found.setdefault(identity(folder.path), folder)
        if first.label != folder.label:
            raise _two_labels(folder.path, first.label)
    return {place: folder.label for place, folder in found.items()}


def _two_labels(link: Path, label: str) -> UserError:
    return UserError(
        f"dataset: {legible(link)} is a link to the folder of the class '{label}': its pictures "
        "would carry two labels, and none of them would count. Remove the link."
    )


def stray_pictures(root: Path, left_out: LeftOut | None = None) -> list[Path]:
    """Pictures that lie in the root or in a split, outside of every class folder."""
    places = [root, *(folder for folder in _subfolders(root) if _is_split(folder))]
    stray = []
    for path in (path for place in places for path, is_folder in _entries(place) if not is_folder):
        if _is_picture(path):
            stray.append(path)
        elif left_out is not None:
            left_out.add(path)
    return stray


def _class_folder(folder: Path, split: str | None) -> ClassFolder:
    check_name(folder)
    return ClassFolder(folder, folder.name, split)


def _pictures(
    folder: Path,
    above: frozenset[Identity],
    left_out: LeftOut,
    owned: Mapping[Identity, str],
    label: str,
) -> Iterator[Path]:
    own = identity(folder)
    if own in above:
        return
    if (other := owned.get(own, label)) != label:
        raise _two_labels(folder, other)
    for path, is_folder in _entries(folder):
        if is_folder:
            yield from _pictures(path, above | {own}, left_out, owned, label)
        elif _is_picture(path):
            check_name(path)
            yield path
        else:
            left_out.add(path)


def identity(path: Path) -> Identity:
    """Of a folder, by whatever name it is reached."""
    stat = path.stat()
    return stat.st_dev, stat.st_ino


def _entries(folder: Path) -> list[tuple[Path, bool]]:
    """What a folder holds, in a fixed order, and whether each is a folder."""
    try:
        names = (name for name in os.listdir(folder) if not name.startswith((".", "__MACOSX")))
        paths = [folder / name for name in sorted(names)]
        return [(path, path.is_dir()) for path in paths]
    except PermissionError as error:
        raise UserError(
            f"dataset: the folder {legible(folder)} cannot be read: {error.strerror}. "
            "Let it be read (chmod u+rx), or move it away."
        ) from error


def _subfolders(folder: Path) -> list[Path]:
    return [path for path, is_folder in _entries(folder) if is_folder]


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in image_suffixes() and path.is_file()


def _is_split(folder: Path) -> bool:
    return folder.name.lower() in SPLIT_NAMES and bool(_subfolders(folder))


def _split_order(folder: Path) -> tuple[int, str]:
    return ("train", "val", "test").index(SPLIT_NAMES[folder.name.lower()]), folder.name
