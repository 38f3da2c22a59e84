"""Files: hashed once, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from functools import lru_cache
from pathlib import Path

READ_ONLY = 0o444


def sha256_of(path: Path) -> str:
    """Hexadecimal sha256 of a file's bytes.

    A file that has not changed since this process hashed it is not read again: every job of a
    sweep verifies the same downloads.
    """
    found = path.stat()
    return _sha256(path, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@lru_cache(maxsize=1024)
def _sha256(path: Path, *state: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, value: object) -> None:
    """Writes a receipt, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = beside(path)
    try:
        partial.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", "utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_durably(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Writes a file, whole or not at all, and on the disk when this returns.

    Args:
        mode: its permissions.
    """
    partial = beside(path)
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.chmod(mode)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """The same file in another place: without a second copy of it where the disk allows.

    For files that are replaced, never changed. Nothing may lie at the target.
    """
    try:
        os.link(os.path.realpath(source), target)  # DVC may have put a symbolic link there
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)


def beside(target: Path) -> Path:
    """A path for work in progress, on the same file system as its target."""
    return target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.partial")
