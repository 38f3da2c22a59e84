"""A content-addressed store of arrays: decoded images, features, frozen-prefix activations.

Append-only shards (graftwork.storage.shards). A shard becomes visible by one rename, so that it is
whole or absent; two writers only ever add shards, so that they cannot harm each other. Memory holds
the index (about 100 bytes an entry), never the arrays.
"""

from __future__ import annotations

import functools
import hashlib
import math
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from graftwork.storage.shards import Entry, Shape, Shard, publish, read_shard

SHARD_BYTES = 1 << 30  # a new shard begins after this many bytes: bounds the loss of a crash
ABANDONED_SECONDS = 24 * 3600  # a partial file that nobody has written to for so long is rubbish


class ArrayStore:
    """Arrays of one dtype under text keys (sha256 of what they were made from).

    A shard that is damaged (index unreadable or not what was written, size wrong) or of another
    dtype is left out, and its entries count as missing.

    Args:
        folder: where the shards lie; made on the first write.
        dtype: of every array.
        verify: compare each shard's sha256 when it is opened. Reading costs about a second per
            GiB; a shard that does not match counts as damaged.
    """

    def __init__(self, folder: Path, dtype: np.typing.DTypeLike, *, verify: bool = False) -> None:
        self.folder = folder
        self.dtype = np.dtype(dtype)
        self._verify = verify
        self._seen: set[str] = set()
        self._bytes: list[np.ndarray] = []  # of each shard, mapped
        self._shapes: list[Shape] = []  # the distinct ones
        # One row an entry, sorted by key:
        self._keys = np.empty(0, "S1")
        self._shard = np.empty(0, np.int32)
        self._offset = np.empty(0, np.int64)  # bytes
        self._shape = np.empty(0, np.int32)  # position in _shapes
        self.refresh()

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the same folder: what is mapped is never sent to it."""
        return functools.partial(ArrayStore, verify=self._verify), (self.folder, self.dtype)

    def refresh(self) -> None:
        """Takes in the shards that other processes have finished since."""
        new = {path.name for path in self.folder.glob("*.parquet")} - self._seen
        if not new:
            return
        self._seen |= new
        for name in sorted(new):
            shard = read_shard(self.folder / name, self.dtype, verify=self._verify)
            if shard is not None:
                self._take_in(shard)
        # Stable: of two entries under one key, which hold the same, the earlier stays first.
        order = np.argsort(self._keys, kind="stable")
        self._keys, self._shard = self._keys[order], self._shard[order]
        self._offset, self._shape = self._offset[order], self._shape[order]

    def _take_in(self, new: Shard) -> None:
        known = len(self._shapes)
        self._bytes.append(new.content)
        self._shapes += new.shapes
        shard = np.full(len(new.keys), len(self._bytes) - 1, np.int32)
        self._keys = np.concatenate([self._keys, new.keys])
        self._shard = np.concatenate([self._shard, shard])
        self._offset = np.concatenate([self._offset, new.offsets])
        self._shape = np.concatenate([self._shape, new.shape + np.int32(known)])

    def _find(self, keys: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Where each key is, and whether it is there at all."""
        wanted = np.array([key.encode() for key in keys], "S")
        if not len(self._keys) or not len(wanted):
            return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
        at = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        return at, self._keys[at] == wanted

    def __contains__(self, key: str) -> bool:
        return bool(self._find([key])[1][0])

    def __len__(self) -> int:
        return len(self._keys)

    def missing(self, keys: Iterable[str]) -> list[str]:
        """The keys that the store does not hold, each once, in the given order."""
        asked = list(dict.fromkeys(keys))
        return [key for key, found in zip(asked, self._find(asked)[1], strict=True) if not found]

    def __getitem__(self, key: str) -> np.ndarray:
        """A read-only view of the stored array; nothing is copied until it is used."""
        if (array := self.get(key)) is None:
            raise KeyError(key)
        return array

    def get(self, key: str) -> np.ndarray | None:
        """As `store[key]`, or None where there is nothing under this key."""
        at, found = self._find([key])
        return self._view(int(at[0])) if found[0] else None

    def _view(self, at: int) -> np.ndarray:
        shape, offset = self._shapes[self._shape[at]], self._offset[at]
        size = math.prod(shape) * self.dtype.itemsize
        raw = self._bytes[self._shard[at]][offset : offset + size]
        return raw.view(self.dtype).reshape(shape)

    def rows(self, keys: Sequence[str]) -> np.ndarray:
        """Arrays of equal shape, stacked: `[len(keys), *shape]`, a copy in memory.

        Raises:
            KeyError: one of them is not in the store.
        """
        at, found = self._find(keys)
        if not found.all():
            raise KeyError(keys[int(np.flatnonzero(~found)[0])])
        if not len(at):
            raise ValueError("rows() of no keys has no shape.")
        rows = np.empty((len(at), *self._shapes[self._shape[at[0]]]), self.dtype)
        # In the order of the disk, which reads ahead; the rows land where they belong.
        for row in np.lexsort((self._offset[at], self._shard[at])):
            stored = self._view(int(at[row]))
            assert stored.shape == rows.shape[1:], "arrays of different shapes cannot be stacked"
            rows[row] = stored
        return rows

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Waits while another process fills this store, then takes in what it added."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".lock"):
            self._sweep()
            self.refresh()
            yield

    def _sweep(self) -> None:
        """Removes what killed writers left behind."""
        for partial in self.folder.glob("*.partial"):
            if time.time() - partial.stat().st_mtime > ABANDONED_SECONDS:
                partial.unlink(missing_ok=True)

    def append(self, items: Iterable[tuple[str, np.ndarray]]) -> int:
        """Streams arrays into new shards. Returns how many were written.

        Everything before an exception in `items` is kept.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        count, source, exhausted = 0, iter(items), False
        try:
            while not exhausted:
                written, exhausted = self._write_shard(source)
                count += written
        finally:
            self.refresh()
        return count

    def _write_shard(self, items: Iterator[tuple[str, np.ndarray]]) -> tuple[int, bool]:
        partial = self.folder / f"{uuid.uuid4().hex}.bin.partial"
        digest, offset, exhausted = hashlib.sha256(), 0, False
        entries: list[Entry] = []
        try:
            with partial.open("wb") as file:
                try:
                    while offset < SHARD_BYTES:
                        key, array = next(items)
                        raw = (
                            np.ascontiguousarray(array, self.dtype).reshape(-1).view(np.uint8).data
                        )
                        file.write(raw)
                        digest.update(raw)
                        entries.append((key, offset, ",".join(map(str, np.shape(array)))))
                        offset += raw.nbytes
                except StopIteration:
                    exhausted = True
                finally:
                    if entries:
                        file.truncate(offset)  # half an array, if interrupted while writing
                        os.fsync(file.fileno())
                        publish(partial, self.dtype, digest.hexdigest(), offset, entries)
        finally:
            partial.unlink(missing_ok=True)
        return len(entries), exhausted
