"""What data sets have in common that come from one pinned file."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from graftwork.data.datasets import unpacked
from graftwork.data.datasets.base import RECEIPT, Dataset
from graftwork.data.sources.base import Source
from graftwork.data.sources.fetching import new_folder
from graftwork.storage.files import read_sealed, write_sealed

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Published(Dataset):
    """Fetched once, unpacked into a folder that is whole or absent."""

    source: Source

    def download(self, raw: Path, downloads: Path) -> None:
        about = {"dataset": self.name, "sha256": self.source.fingerprint}
        raw.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(raw.with_name(f".{raw.name}.lock")):
            if _is_whole(raw, about):
                return
            file = self.source.fetch(downloads)
            with new_folder(raw) as folder:
                self.unpack(file, folder)
                write_sealed(
                    folder / RECEIPT,
                    {
                        **about,
                        "origin": self.source.origin,
                        "files": _count(folder),
                        "listed": unpacked.write_list(folder),
                    },
                )

    def damaged(self, raw: Path, looked_at: pd.DataFrame) -> list[Path]:
        return unpacked.damaged(raw, looked_at)

    @abstractmethod
    def unpack(self, file: Path, folder: Path) -> None:
        """Turns the verified file into pictures below a new folder."""


def _is_whole(raw: Path, about: dict[str, str]) -> bool:
    """Whether this very data lies there, none of its files missing."""
    found = read_sealed(raw / RECEIPT) or {}
    same = all(found.get(key) == value for key, value in about.items())
    return same and found.get("files") == _count(raw)


def _count(folder: Path) -> int:
    return sum(1 for _ in unpacked.names(folder))
