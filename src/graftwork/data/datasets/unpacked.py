"""What was unpacked, file by file, so that a picture that decays on the disk is noticed.

`sha256.txt` in the data set's folder is what `sha256sum -c` reads; its own sha256 stands in the
receipt. `prepare` hashes every picture anyway, and only compares.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from graftwork.data.datasets.base import RECEIPT
from graftwork.storage.files import read_receipt, sha256_of

LISTED = "sha256.txt"
LOST = "Whether its pictures are what was unpacked is not known; the stage download tells again."
OWN = (RECEIPT, LISTED)


def names(folder: Path) -> Iterator[str]:
    """Every file below the folder, by its path in it; without this module's own."""
    for place, _, files in os.walk(folder):
        inside = Path(place).relative_to(folder)
        own = OWN if inside == Path() else ()
        yield from (str(inside / name) for name in files if name not in own)


def write_list(folder: Path) -> str:
    """Hashes what was unpacked, about a second per GiB. Returns the sha256 of the list."""
    lines = [f"{sha256_of(folder / name)}  {name}\n" for name in sorted(names(folder))]
    (folder / LISTED).write_text("".join(lines), "utf-8", errors="surrogateescape")
    return sha256_of(folder / LISTED)


def damaged(folder: Path, looked_at: pd.DataFrame) -> list[Path]:
    """Files that are no longer what was unpacked; of a folder without a list nothing is known.

    Args:
        folder: of the data set.
        looked_at: columns `path` and `sha256` of what has been read already.
    """
    listed = folder / LISTED
    expected = read_receipt(folder / RECEIPT, LOST).get("listed")
    if expected is None:
        return []
    if not listed.is_file() or sha256_of(listed) != expected:
        return [listed]
    found = dict(zip(looked_at["path"], looked_at["sha256"], strict=True))
    wrong = []
    for line in listed.read_text("utf-8", errors="surrogateescape").splitlines():
        sha256, _, name = line.partition("  ")
        path = folder / name
        if found.get(str(path)) != sha256 and not (path.is_file() and sha256_of(path) == sha256):
            wrong.append(path)
    return wrong
