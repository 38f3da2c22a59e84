"""Photos in folders that are called as the classes that they were given."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from graftwork.config.errors import UserError
from graftwork.serving.folder_names import LONGEST, folder_names


class SortedPhotos:
    """Links to photos, or copies, below one folder.

    Args:
        copy: whether the bytes are copied; links else.

    Raises:
        UserError: the folder is one of those that are looked at, or is none.
    """

    def __init__(self, root: Path, classes: Sequence[str], copy: bool, looked_at: Sequence[str]):
        self._root, self._copy = root.absolute(), copy
        self._folders = dict(zip(classes, folder_names(classes), strict=True))
        if root.exists() and not root.is_dir():
            raise UserError(f"--copy-into: {root} is no folder. Name another.")
        for word in looked_at:
            if Path(word).is_dir() and root.resolve().is_relative_to(Path(word).resolve()):
                raise UserError(
                    f"--copy-into: {root} lies in {word}, whose photos are asked about: the next "
                    "start would ask about the copies, too. Name another folder."
                )

    def place(self, path: str, sha256: str, predicted: str) -> None:
        """Puts a photo into its class; one that lies there already stays."""
        folder = self._root / self._folders[predicted]
        if folder.is_symlink():
            raise UserError(f"--copy-into: {folder} is a link. Remove it, or name another folder.")
        folder.mkdir(parents=True, exist_ok=True)
        source = Path(path).absolute()
        target = folder / source.name
        if os.path.lexists(target) and not self._is_it(target, source):
            # Another folder's photo of the same name.
            target = folder / f"{source.stem[:LONGEST]}-{sha256[:12]}{source.suffix}"
        if os.path.lexists(target):
            return
        if self._copy:
            shutil.copyfile(source, target)
        else:
            target.symlink_to(source)

    def _is_it(self, target: Path, source: Path) -> bool:
        if target.is_symlink():
            return os.readlink(target) == str(source)
        same_size = target.stat().st_size == source.stat().st_size
        return same_size and target.read_bytes() == source.read_bytes()
