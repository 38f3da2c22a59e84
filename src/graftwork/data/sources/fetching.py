"""Pinned files: fetched with progress, retry and resume; trusted only when size and hash match.

The shelf of finished downloads is `<downloads>/<sha256>/<name>`: a second fetch costs nothing.
What is in flight lies in `<downloads>/partial/`, where an interrupted download is taken up again.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from filelock import FileLock

from graftwork.config.errors import UserError, check_range
from graftwork.storage.files import beside, sha256_of, warn_damaged

_DOUBT = (
    "Try again; if it happens again, the publisher or something on the way changed the file: "
    "only change the pin if you know why."
)


SHELF = re.compile("[0-9a-f]{64}")  # name of a folder on it


@dataclass(frozen=True)
class Pin:
    """What a file must be. `None`: not known beforehand."""

    size: int | None  # bytes
    sha256: str | None  # or its first digits


def check_pin(size: int | None, sha256: str | None, prefix: str = "") -> None:
    """Raises UserError for a pin that no file could match."""
    if size is not None:
        check_range(f"{prefix}size", size, 1)
    if sha256 is not None and not re.fullmatch("[0-9a-f]{64}", sha256):
        raise UserError(
            f"{prefix}sha256: '{sha256}' is no sha256. Legal: 64 digits 0-9 a-f, as `sha256sum` "
            "prints them."
        )


def verify(path: Path, pin: Pin, origin: str) -> str:
    """The sha256 of a file that matches its pin.

    Raises:
        UserError: it does not match; both sizes or both hashes are named.
    """
    size = path.stat().st_size
    if pin.size is not None and size != pin.size:
        raise UserError(
            f"{origin}: {size} bytes arrived, {pin.size} are pinned. Nothing was kept. {_DOUBT}"
        )
    sha256 = sha256_of(path)
    if not sha256.startswith(pin.sha256 or ""):
        raise UserError(
            f"{origin}: sha256 {sha256} arrived, {pin.sha256} is pinned. Nothing was kept. {_DOUBT}"
        )
    return sha256


def obtain(
    downloads: Path, pin: Pin, name: str, origin: str, fetch: Callable[[Path], None]
) -> Path:
    """The verified file from the shelf, or fetched onto it.

    Args:
        pin: with a sha256: the shelf is sorted by it.
        name: file name that it gets.
        fetch: writes the file to a path; may find there the first part of an earlier attempt.

    Raises:
        UserError: from `fetch`, or because the file does not match; then nothing is left.
    """
    assert pin.sha256, "the shelf is sorted by sha256"
    final = downloads / pin.sha256 / name
    if _is_kept(final, pin):
        return final
    partial = downloads / "partial" / f"{pin.sha256}-{name}"
    partial.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(partial.with_name(f"{partial.name}.lock")):
        if _is_kept(final, pin):  # another process fetched it meanwhile
            return final
        resumed = partial.exists()
        fetch(partial)
        try:
            _shelve(partial, final, pin, origin)
        except UserError:
            if not resumed:
                raise
            fetch(partial)  # the earlier part was stale: once more, from its first byte
            _shelve(partial, final, pin, origin)
    return final


def _shelve(partial: Path, final: Path, pin: Pin, origin: str) -> None:
    try:
        verify(partial, pin, origin)
        final.parent.mkdir(parents=True, exist_ok=True)
        _sync(partial)
        os.replace(partial, final)
    finally:
        partial.unlink(missing_ok=True)


def _is_kept(final: Path, pin: Pin) -> bool:
    """Hashed once a process, about a second per GiB: who asks is about to read it anyway."""
    if not final.is_file():
        return False
    if sha256_of(final) == pin.sha256:
        return True
    warn_damaged(final, "its sha256 is not the pinned one", "It is fetched again.")
    final.unlink()
    return False


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def place(source: Path, target: Path, sha256: str) -> None:
    """Copies a file, whole or not at all, and hashes what was written.

    Raises:
        UserError: the copy does not have this sha256; then nothing is left.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = beside(target)
    try:
        shutil.copyfile(source, partial)
        verify(partial, Pin(None, sha256), str(source))
        _sync(partial)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of `target` when the block ends without an error."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial, old = beside(target), beside(target)
    partial.mkdir()
    try:
        yield partial
        if target.exists():
            os.replace(target, old)
        os.replace(partial, target)
    finally:
        for folder in (partial, old):
            shutil.rmtree(folder, ignore_errors=True)


def without_secrets(url: str) -> str:
    """A URL without user, password, query and fragment, for messages and reports."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))
