"""Files: hashed once, written whole or not at all, and damage to them noticed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from graftwork.config.errors import UserError

READ_ONLY = 0o444


class DamageWarning(UserWarning):
    """A file is no longer what was written, and is made again."""


def warn_damaged(path: Path, what: str, then: str = "It is made again.") -> None:
    """Names a damaged file, what is wrong with it, and what becomes of it."""
    warnings.warn(f"{path}: damaged: {what}. {then}", DamageWarning, stacklevel=3)


@contextmanager
def named(path: Path) -> Iterator[None]:
    """An OSError inside names this file if it names none: that of a full disk does not."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


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
        with named(path):
            partial.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", "utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def read_json(path: Path, remedy: str) -> Any:
    """What a file of JSON says.

    Args:
        remedy: what makes it again.

    Raises:
        UserError: it is not there, or no JSON.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file. {remedy}") from None
    except (ValueError, RecursionError) as error:  # a UnicodeDecodeError is one too
        raise UserError(f"{path}: damaged, no JSON ({error}). {remedy}") from error


SEAL = "sha256_of_the_rest"


def seal(value: dict[str, Any]) -> dict[str, Any]:
    """With the sha256 of all that it says, so that one flipped bit is noticed."""
    rest = {key: value[key] for key in value if key != SEAL}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return {**rest, SEAL: hashlib.sha256(text.encode()).hexdigest()}


def unsealed(value: Any) -> dict[str, Any]:
    """Without its seal; what an earlier version wrote has none.

    Raises:
        ValueError: it is no longer what was sealed, or no mapping.
    """
    if not isinstance(value, dict):
        raise ValueError("no group of keys")
    if SEAL in value and seal(value)[SEAL] != value[SEAL]:
        raise ValueError("it does not say what was written")
    return {key: value[key] for key in value if key != SEAL}


def write_sealed(path: Path, value: dict[str, Any]) -> None:
    """As `write_json`, with a seal."""
    write_json(path, seal(value))


def read_sealed(path: Path) -> dict[str, Any] | None:
    """What was written by `write_sealed`; None where it is not there, or was damaged and went.

    For what is made again where it is not there: damage is told, and the file removed.
    """
    try:
        return unsealed(json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        warn_damaged(path, str(error))
        path.unlink(missing_ok=True)
        return None


def read_receipt(path: Path, lost: str) -> dict[str, Any]:
    """What was written by `write_sealed`; nothing where it is not there, or damaged.

    For what is worth less than making it again.

    Args:
        lost: what a damaged one costs, in a sentence.
    """
    try:
        return unsealed(json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        warn_damaged(path, str(error), lost)
        return {}


def write_durably(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Writes a file, whole or not at all, and on the disk when this returns.

    Args:
        mode: its permissions.
    """
    partial = beside(path)
    try:
        with named(path), partial.open("wb") as file:
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
        if os.path.islink(source):  # DVC may have put it there
            source = os.path.realpath(source)
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)


def beside(target: Path) -> Path:
    """A path for work in progress, on the same file system as its target."""
    return target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.partial")


def remove(path: Path) -> None:
    """Removes a file or a folder, if it is there; others find a folder whole or not at all."""
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    away = beside(path)
    with suppress(FileNotFoundError):  # another process was quicker
        path.rename(away)
        shutil.rmtree(away)
