"""Files of a stored network, and the record of what each of them was when it was written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from graftwork.storage.files import read_sealed, sha256_of, write_sealed


def note(record: Path, files: Iterable[Path]) -> None:
    """Notes the sha256 of these files, and of no others."""
    write_sealed(record, {file.name: sha256_of(file) for file in files})


def not_as_noted(record: Path, files: Iterable[Path]) -> list[Path]:
    """Those of the files that are not there, are not noted, or are no longer what was noted.

    Each is read once a process, about a second per GiB.
    """
    noted = read_sealed(record) or {}
    return [file for file in files if not file.is_file() or noted.get(file.name) != sha256_of(file)]
