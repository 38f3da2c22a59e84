"""A content-addressed store of arrays: decoded images, features, frozen-prefix activations.

Append-only shards (graftwork.storage.shards). A shard becomes visible by one rename, so that it is
whole or absent; two writers only ever add shards, so that they cannot harm each other. Memory holds
the index (about 100 bytes an entry), never the arrays.

Each array is compared with its CRC-32 when it is first read: about half a second per GiB, and
nothing is read that is not asked for. One that differs counts as missing from then on, and a note
is left beside its shard (`.damaged`), so that who opens the store next looks at all of that shard;
the next writer copies what is left of it and removes it.
"""

from __future__ import annotations

import functools
import hashlib
import math
import os
import time
import uuid
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from graftwork.storage.entries import DAMAGED, INTACT, NO_ENTRIES, UNREAD, Entries, merged
from graftwork.storage.files import named, warn_damaged
from graftwork.storage.shards import (
    DamagedShard,
    Entry,
    Shape,
    Shard,
    entry,
    is_intact,
    publish,
    read_shard,
)

SHARD_BYTES = 1 << 30  # a new shard begins after this many bytes: bounds the loss of a crash
ABANDONED_SECONDS = 24 * 3600  # a partial file that nobody has written to for so long is rubbish
MARK = ".damaged"  # of the note beside a shard
FILES = (".parquet", ".bin", MARK)  # of a shard, in the order in which they may go


class ArrayStore:
    """Arrays of one dtype under text keys (sha256 of what they were made from).

    A shard whose index is unreadable or not what was written, or whose size is wrong, is left out
    with a warning, one of another dtype without; their entries count as missing.

    Args:
        folder: where the shards lie; made on the first write.
        dtype: of every array.
        verify: compare every array as soon as its shard is opened, about half a second per GiB.
    """

    def __init__(self, folder: Path, dtype: np.typing.DTypeLike, *, verify: bool = False) -> None:
        self.folder = folder
        self.dtype = np.dtype(dtype)
        self._verify = verify
        self._seen: set[str] = set()
        self._broken: set[Path] = set()  # indices of shards that are left out
        self._shards: list[Shard] = []
        self._shapes: list[Shape] = []  # the distinct ones
        self._entries = NO_ENTRIES
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
        parts = [self._entries]
        for name in sorted(new):
            if (shard := self._opened(self.folder / name)) is not None:
                parts.append(self._taken_in(shard))
        self._entries = merged(parts)
        for number, shard in enumerate(self._shards):
            if self._verify or shard.data.with_suffix(MARK).exists():
                self._look_at(number)

    def _opened(self, index: Path) -> Shard | None:
        try:
            return read_shard(index, self.dtype)
        except DamagedShard as error:
            if index.exists():  # else another process has just removed it
                self._broken.add(index)
                warn_damaged(index, str(error), "What it held is made again.")
            return None

    def _taken_in(self, new: Shard) -> Entries:
        shapes = new.shape + np.int32(len(self._shapes))
        self._shards.append(new)
        self._shapes += new.shapes
        return Entries.of(new.keys, len(self._shards) - 1, new.offsets, shapes, new.crc)

    def _look_at(self, number: int) -> None:
        """Compares all arrays of a shard."""
        entries = self._entries
        for at in np.flatnonzero((entries.shard == number) & (entries.known == UNREAD)):
            self._is_intact(entries, int(at))

    def _is_intact(self, entries: Entries, at: int) -> bool:
        """Whether the array is what was written; reads it when first asked."""
        if entries.known[at] == UNREAD:
            shard = self._shards[entries.shard[at]]
            if shard.crc is None:  # of an earlier version: the shard's own sha256, once a process
                good = is_intact(shard)
            else:
                good = zlib.crc32(self._raw(entries, at).data) == entries.crc[at]
            entries.known[at] = INTACT if good else DAMAGED
            if not good:
                with suppress(OSError):  # who may only read goes on without the note
                    shard.data.with_suffix(MARK).touch()
                what = "an array in it is not what was written"
                warn_damaged(shard.data, what, "That is made again.")
        return bool(entries.known[at] == INTACT)

    def __contains__(self, key: str) -> bool:
        return bool(self._entries.find([key])[1][0])

    def __len__(self) -> int:
        return int((self._entries.known != DAMAGED).sum())

    @property
    def damaged(self) -> list[Path]:
        """The files of shards that are known to be damaged."""
        return sorted([*self._broken, *(self._shards[at].data for at in self._damaged_shards())])

    def _damaged_shards(self) -> list[int]:
        entries = self._entries
        return [int(number) for number in np.unique(entries.shard[entries.known == DAMAGED])]

    def missing(self, keys: Iterable[str], *, read: bool = False) -> list[str]:
        """The keys that the store does not hold, each once, in the given order.

        Args:
            read: compare those that are there, so that none is found damaged later.
        """
        asked = list(dict.fromkeys(keys))
        entries = self._entries
        at, found = entries.find(asked)
        if read:
            for place in np.sort(at[found]):
                self._is_intact(entries, int(place))
            at, found = entries.find(asked)
        return [key for key, here in zip(asked, found, strict=True) if not here]

    def __getitem__(self, key: str) -> np.ndarray:
        """A read-only view of the stored array; nothing is copied until it is used."""
        if (array := self.get(key)) is None:
            raise KeyError(key)
        return array

    def get(self, key: str) -> np.ndarray | None:
        """As `store[key]`, or None where there is nothing whole under this key."""
        entries = self._entries
        while True:
            at, found = entries.find([key])
            if not found[0]:
                return None
            if self._is_intact(entries, int(at[0])):
                return self._view(entries, int(at[0]))

    def nbytes(self, key: str) -> int:
        """Bytes of the array, which is not read. Raises KeyError where there is none."""
        entries = self._entries
        at, found = entries.find([key])
        if not found[0]:
            raise KeyError(key)
        return self._size(entries, int(at[0]))

    def _view(self, entries: Entries, at: int) -> np.ndarray:
        shape = self._shapes[entries.shape[at]]
        return self._raw(entries, at).view(self.dtype).reshape(shape)

    def _raw(self, entries: Entries, at: int) -> np.ndarray:
        offset = entries.offset[at]
        content = self._shards[entries.shard[at]].content
        return content[offset : offset + self._size(entries, at)]

    def _size(self, entries: Entries, at: int) -> int:
        return math.prod(self._shapes[entries.shape[at]]) * self.dtype.itemsize

    def rows(self, keys: Sequence[str]) -> np.ndarray:
        """Arrays of equal shape, stacked: `[len(keys), *shape]`, a copy in memory.

        Raises:
            KeyError: one of them is not in the store, or is found damaged now.
        """
        entries = self._entries
        at, found = entries.find(keys)
        if not found.all():
            raise KeyError(keys[int(np.flatnonzero(~found)[0])])
        if not len(at):
            raise ValueError("rows() of no keys has no shape.")
        rows = np.empty((len(at), *self._shapes[entries.shape[at[0]]]), self.dtype)
        # In the order of the disk, which reads ahead; the rows land where they belong.
        for row in np.lexsort((entries.offset[at], entries.shard[at])):
            place = int(at[row])
            whole = self._is_intact(entries, place)
            stored = self._view(entries, place) if whole else self[keys[row]]
            assert stored.shape == rows.shape[1:], "arrays of different shapes cannot be stacked"
            rows[row] = stored
        return rows

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Waits while another process fills this store, then takes in what it added.

        What was found damaged goes, after what is left of it has been copied.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".lock"):
            self._sweep()
            self.refresh()
            self._mend()
            yield

    def _sweep(self) -> None:
        """Removes what killed writers left behind: partial files, bytes without their index."""
        for path in (*self.folder.glob("*.partial"), *self.folder.glob("*.bin")):
            if path.suffix == ".bin" and path.with_suffix(".parquet").exists():
                continue
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                    path.unlink()

    def _mend(self) -> None:
        """Copies what is whole of damaged shards into a new one, and removes them."""
        numbers = self._damaged_shards()
        for number in numbers:
            self._look_at(number)
        entries = self._entries
        among = np.isin(entries.shard, numbers)
        whole = np.flatnonzero(among & (entries.known == INTACT))
        self._append((entries.keys[at].decode(), self._view(entries, int(at))) for at in whole)
        for path in (*self._broken, *(self._shards[number].data for number in numbers)):
            for suffix in FILES:
                path.with_suffix(suffix).unlink(missing_ok=True)
        self._broken.clear()
        self._entries = entries.where(~among)
        self.refresh()

    def append(self, items: Iterable[tuple[str, np.ndarray]]) -> int:
        """Streams arrays into new shards. Returns how many were written.

        Everything before an exception in `items` is kept.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            return self._append(items)
        finally:
            self.refresh()

    def _append(self, items: Iterable[tuple[str, np.ndarray]]) -> int:
        count, source, exhausted = 0, iter(items), False
        while not exhausted:
            written, exhausted = self._write_shard(source)
            count += written
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
                        with named(partial):
                            file.write(raw)
                        digest.update(raw)
                        entries.append(entry(key, offset, array, raw))
                        offset += raw.nbytes
                except StopIteration:
                    exhausted = True
                finally:
                    if entries:
                        with named(partial):
                            file.truncate(offset)  # half an array, if interrupted while writing
                            os.fsync(file.fileno())
                        publish(partial, self.dtype, digest.hexdigest(), offset, entries)
        finally:
            partial.unlink(missing_ok=True)
        return len(entries), exhausted
