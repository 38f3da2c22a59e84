"""Files whose whole sha256 nobody published: trusted on first use, and held to it afterwards."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from graftwork.config.errors import UserError
from graftwork.data.sources.fetching import Pin, obtain, place, verify
from graftwork.process.terminal import visible
from graftwork.storage.files import unsealed, write_sealed


class UnpinnedWarning(UserWarning):
    """A file was trusted on first use."""


def trusted(
    downloads: Path,
    pin: Pin,
    address: str,
    origin: str,
    name: str,
    fetch: Callable[[Path], None],
) -> Path:
    """The file that came on the first use of an address; any other is refused from then on.

    Args:
        pin: what is known: nothing, or the first digits of the sha256.
        address: under which the first use is remembered.
        name: file name that it gets.
        fetch: writes the file to a path; may find there the first part of an earlier attempt.

    Raises:
        UserError: from `fetch`, or because the file does not match its pin or the first use.
    """
    slug = re.sub(r"[^A-Za-z0-9.-]", "_", address)
    record = downloads / "first_use" / f"{slug}.json"
    record.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(record.with_suffix(".lock")):
        known = _known(record)
        if known is not None and known.startswith(pin.sha256 or ""):
            return obtain(downloads, Pin(pin.size, known), name, origin, fetch)
        partial = downloads / "partial" / f"first-{slug}"
        partial.parent.mkdir(parents=True, exist_ok=True)
        fetch(partial)
        try:
            sha256 = verify(partial, pin, origin)
            _warn(origin, pin, sha256)
            whole = Pin(pin.size, sha256)
            path = obtain(downloads, whole, name, origin, lambda to: place(partial, to, sha256))
        finally:
            partial.unlink(missing_ok=True)
        write_sealed(record, {"origin": origin, "sha256": sha256})
        return path


def _known(record: Path) -> str | None:
    """The sha256 that was trusted; None: nothing was yet.

    Raises:
        UserError: the record is damaged. It is no cache: making it again would trust anew.
    """
    if not record.is_file():
        return None
    try:
        sha256 = unsealed(json.loads(record.read_text("utf-8")))["sha256"]
    except (ValueError, KeyError, RecursionError) as error:
        sha256 = error
    if not isinstance(sha256, str):
        raise UserError(
            f"{record}: damaged ({sha256}): what was trusted on first use is not known any more. "
            "Remove it to trust what comes now, or pin the file in its configuration (sha256)."
        )
    return sha256


def _warn(origin: str, pin: Pin, sha256: str) -> None:
    pinned = f"only {pin.sha256} of its sha256" if pin.sha256 else "no hash"
    warnings.warn(
        f"{visible(origin)}: {pinned} is pinned. sha256 {sha256} is trusted from now on; pin it in "
        "the model's configuration (weights.source.sha256).",
        UnpinnedWarning,
        stacklevel=4,
    )
