"""What of the store goes, and how: whole pieces, nothing outside the store, nothing in use.

A shard's index goes before its bytes, and a folder is renamed before it is emptied, so that other
processes find a piece whole or not at all. Who has a file open keeps it until it is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

from filelock import FileLock, Timeout

from graftwork.housekeeping.contents import Piece
from graftwork.storage import files
from graftwork.storage.array_store import ABANDONED_SECONDS


def chosen(
    found: Sequence[Piece],
    now: float,
    older_than: float | None,
    larger_than: float | None,
    kept: Callable[[Piece], bool] = lambda piece: False,
) -> list[Piece]:
    """What should go, the longest unused first.

    Args:
        found: all that the store holds.
        now: s since the epoch.
        older_than: s; whatever was not used for so long goes.
        larger_than: bytes; as much goes as leaves no more than this.
        kept: what stays in any case.
    """
    left, gone = sum(piece.size for piece in found), []
    for piece in sorted(found, key=lambda piece: piece.used):
        age = now - piece.used
        if kept(piece) or (piece.unfinished and age <= ABANDONED_SECONDS):
            continue
        too_old = older_than is not None and age > older_than
        if too_old or (larger_than is not None and left > larger_than):
            gone.append(piece)
            left -= piece.size
    return gone


def remove(pieces: Sequence[Piece], store: Path) -> list[Piece]:
    """Removes them. Returns those that went: what another process holds stays."""
    return [piece for piece in pieces if all(_removed(path, store) for path in piece.paths)]


def _removed(path: Path, store: Path) -> bool:
    if not path.parent.resolve().is_relative_to(store.resolve()):  # a folder became a link
        return False
    lock = path.with_name(f"{path.name}.lock")  # of networks, and of downloads in flight
    try:
        with FileLock(lock, timeout=0) if lock.is_file() else nullcontext():
            files.remove(path)
    except Timeout:
        return False
    return True
