"""The rows of a store's index in memory: where each array lies, whether it is known to be whole.

Rows are replaced, never changed, but for what is known of them: threads that look while shards are
taken in see the rows before or those after.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

UNREAD, INTACT, DAMAGED = 0, 1, 2  # what is known of an array


class Entries(NamedTuple):
    """One row an array, sorted by key."""

    keys: np.ndarray  # bytes
    shard: np.ndarray  # int32, its number
    offset: np.ndarray  # int64, bytes
    shape: np.ndarray  # int32, position among the distinct ones
    crc: np.ndarray  # uint32
    known: np.ndarray  # uint8: UNREAD, INTACT or DAMAGED

    @classmethod
    def of(
        cls,
        keys: np.ndarray,
        shard: int,
        offset: np.ndarray,
        shape: np.ndarray,
        crc: np.ndarray | None,
    ) -> Entries:
        """The rows of one shard; `crc` None: an earlier version wrote it, without."""
        count = len(keys)
        crc = np.zeros(count, np.uint32) if crc is None else crc
        known = np.full(count, UNREAD, np.uint8)
        return cls(
            keys, np.full(count, shard, np.int32), offset, shape.astype(np.int32), crc, known
        )

    def where(self, chosen: np.ndarray) -> Entries:
        """These rows."""
        return Entries(*(column[chosen] for column in self))

    def find(self, keys: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The row of each key, and whether there is one that is not known to be damaged."""
        wanted = np.array([key.encode() for key in keys], "S")
        if not len(self.keys) or not len(wanted):
            return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
        at = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        found = self.keys[at] == wanted
        for row in np.flatnonzero(found & (self.known[at] == DAMAGED)):
            end = np.searchsorted(self.keys, wanted[row], "right")
            better = np.flatnonzero(self.known[at[row] : end] != DAMAGED)
            found[row] = bool(len(better))
            at[row] += better[0] if len(better) else 0
        return at, found


NO_ENTRIES = Entries(
    np.empty(0, "S1"),
    *(np.empty(0, kind) for kind in (np.int32, np.int64, np.int32, np.uint32, np.uint8)),
)


def merged(parts: Sequence[Entries]) -> Entries:
    """All rows of these, sorted; of two under one key, which hold the same, the earlier first."""
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    return Entries(*(column[order] for column in columns))
