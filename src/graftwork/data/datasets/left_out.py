"""What lies beside the photos and is passed over, counted on the way: silence would hide loss."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from graftwork.config.errors import UserError

SHOWN = 5  # kinds in a message
HEIC_SUFFIXES = (".heic", ".heif")
ADVICE = "pip install 'graftwork[heic]' lets them be read"
NO_FILE = "pipe, socket or device"
OF_THE_SYSTEM = frozenset(("thumbs.db", "desktop.ini", "icon\r"))  # nobody misses these


@dataclass
class LeftOut:
    """Files that are no pictures, as a walk meets them."""

    kinds: Counter[str] = field(default_factory=Counter)  # files by suffix
    dangling: int = 0  # links that lead nowhere

    def add(self, path: Path) -> None:
        """Counts a file that is not read."""
        if path.is_symlink() and not path.exists():
            self.dangling += 1
        elif path.exists() and not path.is_file():  # never opened: it might wait for ever
            self.kinds[NO_FILE] += 1
        elif path.name.lower() not in OF_THE_SYSTEM:
            self.kinds[legible(path.suffix.lower()) or "no suffix"] += 1

    def __str__(self) -> str:
        """Such as `12 .heic, 1 .pdf`."""
        named = [
            f"{count} {kind}{f' ({ADVICE})' if kind in HEIC_SUFFIXES else ''}"
            for kind, count in self.kinds.most_common(SHOWN)
        ]
        if self.dangling:
            named.append(f"{self.dangling} links that lead nowhere")
        return ", ".join(named)

    def receipt(self) -> dict[str, object]:
        """For `source.json`: the most frequent kinds first."""
        return {"kinds": dict(self.kinds.most_common()), "dangling_links": self.dangling}


def legible(name: Path | str) -> str:
    r"""A file's name that can be printed and written: bytes that are no UTF-8 as `\xe9`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def check_name(path: Path) -> None:
    """Raises UserError for a name that no table or receipt can hold."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError(
            f"dataset: the name {legible(path)} is not in UTF-8. Rename the file or folder."
        ) from error
