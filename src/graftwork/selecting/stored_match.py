"""Matched folds, stored: all heads on one backbone share them."""

from __future__ import annotations

import hashlib
import io
from dataclasses import astuple
from pathlib import Path

import numpy as np

from graftwork.selecting.matched import Match, Matched, match
from graftwork.storage.files import warn_damaged, write_durably

DIGEST = 32  # bytes of it
VERSION = "3"  # of algorithm and file; another one finds nothing that this one stored
ARRAYS = ("groups", "fold", "tried", "clusters", "new", "held_out", "random")  # as Matched's fields


def stored(folder: Path) -> Match:
    """`match`, which computes only what the folder does not hold.

    The key is the content of everything that it looks at, so that what is found is what would be
    computed. A file begins with the sha256 of the rest; a damaged one counts as absent.
    """

    def find(
        features: np.ndarray,
        labels: np.ndarray,
        new: np.ndarray,
        folds: int,
        seed: int,
        max_pictures: int,
    ) -> Matched:
        digest = hashlib.sha256(repr((VERSION, folds, seed, max_pictures)).encode())
        for array in (features, labels, new):
            digest.update(repr((array.dtype.str, array.shape)).encode())
            digest.update(np.ascontiguousarray(array).data)
        path = folder / f"{digest.hexdigest()}.npz"
        found = _read(path)
        if found is None:
            found = match(features, labels, new, folds, seed, max_pictures)
            _write(path, found)
        return found

    return find


def _read(path: Path) -> Matched | None:
    """What was written; None where nothing whole lies there."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    if not is_whole(content):
        warn_damaged(path, "it is not what was written")
        return None
    with np.load(io.BytesIO(content[DIGEST:]), allow_pickle=False) as arrays:
        values = {name: arrays[name] for name in ARRAYS}
    tried = [(int(count), float(apart)) for count, apart in values["tried"]]
    return Matched(**{**values, "tried": tried, "clusters": int(values["clusters"])})


def is_whole(content: bytes) -> bool:
    """Whether a file of them is what was written."""
    return hashlib.sha256(content[DIGEST:]).digest() == content[:DIGEST]


def _write(path: Path, found: Matched) -> None:
    buffer = io.BytesIO()
    values = dict(zip(ARRAYS, map(np.asarray, astuple(found)), strict=True))
    np.savez(buffer, allow_pickle=False, **values)
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = buffer.getvalue()
    write_durably(path, hashlib.sha256(whole).digest() + whole)
