"""A content-addressed store of arrays: decoded images, features, frozen-prefix activations.

Append-only shards. A shard is a raw file of array bytes beside a Parquet index (key, offset,
shape) that carries the dtype and the sha256 of the bytes. A shard becomes visible by one rename,
so that it is whole or absent; two writers only ever add shards, so that they cannot harm each
other. Memory holds the index (about 100 bytes an entry), never the arrays.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

SHARD_BYTES = 1 << 30  # a new shard begins after this many bytes: bounds the loss of a crash


@dataclass(frozen=True)
class _Place:
    shard: int
    offset: int  # bytes
    shape: tuple[int, ...]


class ArrayStore:
    """Arrays of one dtype under text keys (sha256 of what they were made from).

    Args:
        folder: where the shards lie; made on the first write.
        dtype: of every array.
        verify: compare each shard's sha256 when it is opened. Reading costs about a second per
            GiB; a shard that does not match is left out, and its entries count as missing.
    """

    def __init__(self, folder: Path, dtype: np.typing.DTypeLike, *, verify: bool = False) -> None:
        self.folder = folder
        self.dtype = np.dtype(dtype)
        self._verify = verify
        self._places: dict[str, _Place] = {}
        self._bytes: list[np.ndarray] = []
        self._seen: set[str] = set()
        self.refresh()

    def refresh(self) -> None:
        """Takes in the shards that other processes have finished since."""
        for index in sorted(self.folder.glob("*.parquet")):
            if index.name not in self._seen:
                self._seen.add(index.name)
                self._open(index)

    def _open(self, index: Path) -> None:
        table = pq.read_table(index)
        about = json.loads(table.schema.metadata[b"shard"])
        data = index.with_suffix(".bin")
        whole = data.is_file() and data.stat().st_size == about["bytes"]
        if not whole or about["dtype"] != self.dtype.str:
            return
        if self._verify and _sha256(data) != about["sha256"]:
            return
        shard = len(self._bytes)
        self._bytes.append(np.memmap(data, np.uint8, "r") if about["bytes"] else np.empty(0, "u1"))
        columns = (table[name].to_pylist() for name in ("key", "offset", "shape"))
        for key, offset, shape in zip(*columns, strict=True):
            self._places[key] = _Place(shard, offset, tuple(shape))

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def __len__(self) -> int:
        return len(self._places)

    def missing(self, keys: Iterable[str]) -> list[str]:
        """The keys that the store does not hold, each once, in the given order."""
        return [key for key in dict.fromkeys(keys) if key not in self._places]

    def __getitem__(self, key: str) -> np.ndarray:
        """A read-only view of the stored array; nothing is copied until it is used."""
        place = self._places[key]
        size = math.prod(place.shape) * self.dtype.itemsize
        raw = self._bytes[place.shard][place.offset : place.offset + size]
        return raw.view(self.dtype).reshape(place.shape)

    def rows(self, keys: Sequence[str]) -> np.ndarray:
        """Arrays of equal shape, stacked: `[len(keys), *shape]`, a copy in memory."""
        return np.stack([self[key] for key in keys])

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Waits while another process fills this store, then takes in what it added."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".lock"):
            self.refresh()
            yield

    def append(self, items: Iterable[tuple[str, np.ndarray]]) -> int:
        """Streams arrays into new shards. Returns how many were written.

        Everything before an exception in `items` is kept.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        count, source = 0, iter(items)
        while True:
            written, exhausted = self._write_shard(source)
            count += written
            if exhausted:
                self.refresh()
                return count

    def _write_shard(self, items: Iterator[tuple[str, np.ndarray]]) -> tuple[int, bool]:
        name = uuid.uuid4().hex
        partial = self.folder / f"{name}.bin.partial"
        digest, offset = hashlib.sha256(), 0
        keys: list[str] = []
        offsets: list[int] = []
        shapes: list[tuple[int, ...]] = []
        exhausted = False
        try:
            with partial.open("wb") as file:
                try:
                    while offset < SHARD_BYTES:
                        key, array = next(items)
                        raw = np.ascontiguousarray(array, self.dtype).data.cast("B")
                        file.write(raw)
                        digest.update(raw)
                        keys.append(key)
                        offsets.append(offset)
                        shapes.append(array.shape)
                        offset += raw.nbytes
                except StopIteration:
                    exhausted = True
                finally:
                    file.flush()
                    os.fsync(file.fileno())
                    if keys:
                        self._publish(partial, name, digest.hexdigest(), keys, offsets, shapes)
        finally:
            partial.unlink(missing_ok=True)
        return len(keys), exhausted

    def _publish(
        self,
        partial: Path,
        name: str,
        sha256: str,
        keys: list[str],
        offsets: list[int],
        shapes: list[tuple[int, ...]],
    ) -> None:
        about = {"dtype": self.dtype.str, "sha256": sha256, "bytes": partial.stat().st_size}
        table = pa.table({"key": keys, "offset": offsets, "shape": [list(s) for s in shapes]})
        table = table.replace_schema_metadata({"shard": json.dumps(about)})
        os.replace(partial, self.folder / f"{name}.bin")
        index = self.folder / f"{name}.parquet.partial"
        pq.write_table(table, index)
        os.replace(index, self.folder / f"{name}.parquet")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
