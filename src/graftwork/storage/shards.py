"""One shard of a store: a raw file of array bytes beside a Parquet index (key, offset, shape).

The index carries the dtype, the size and the sha256 of the bytes; both files are named after the
sha256 of the index. So a single flipped bit in the index is found each time it is opened, at a
tenth of a millisecond per hundred kilobytes; one in the bytes is found by who asks for it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from graftwork.storage.files import sha256_of

Shape = tuple[int, ...]
Entry = tuple[str, int, str]  # key, offset in bytes, shape as text: "2,3"

_SCHEMA = pa.schema(
    [
        pa.field("key", pa.binary(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("shape", pa.string(), nullable=False),
    ]
)
_NOTHING = np.empty(0, np.uint8)


class Shard(NamedTuple):
    """What is in a shard; one row an entry."""

    content: np.ndarray  # uint8, mapped
    keys: np.ndarray
    offsets: np.ndarray  # bytes
    shapes: list[Shape]  # the distinct ones
    shape: np.ndarray  # position in shapes


def read_shard(index: Path, dtype: np.dtype, *, verify: bool) -> Shard | None:
    """The shard of this index, or None if it is damaged or of another dtype.

    Args:
        index: its Parquet file.
        dtype: of the arrays.
        verify: compare the sha256 of the bytes too.
    """
    try:
        table, about = _read_index(index)
        data = index.with_suffix(".bin")
        if about["dtype"] != dtype.str or data.stat().st_size != about["bytes"]:
            return None
        if verify and sha256_of(data) != about["sha256"]:
            return None
        return _shard(table, data, dtype.itemsize)
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        return None  # the disk was full, or the power went, while it was written; or it has decayed


def _read_index(index: Path) -> tuple[pa.Table, dict[str, Any]]:
    content = index.read_bytes()
    _, named, expected = index.stem.partition("-")  # shards of earlier versions have a number only
    if named and hashlib.sha256(content).hexdigest() != expected:
        raise ValueError("the index is not what its name says")
    table = pq.ParquetFile(pa.BufferReader(content)).read()
    return table.cast(_SCHEMA), json.loads(table.schema.metadata[b"shard"])


def _shard(table: pa.Table, data: Path, itemsize: int) -> Shard:
    encoded = table["shape"].combine_chunks().dictionary_encode()
    shapes = [_shape(text) for text in encoded.dictionary.to_pylist()]
    shape, offsets = encoded.indices.to_numpy(), table["offset"].to_numpy()
    size = data.stat().st_size
    _check_layout(offsets, _sizes(shapes, itemsize, size)[shape], size)
    keys = np.array(table["key"].to_pylist(), "S")
    content = np.memmap(data, np.uint8, "r").view(np.ndarray) if size else _NOTHING
    return Shard(content, keys, offsets, shapes, shape)


def _shape(text: str) -> Shape:
    return tuple(int(length) for length in text.split(",") if length)


def _sizes(shapes: list[Shape], itemsize: int, most: int) -> np.ndarray:
    """Bytes of an array of each shape. Raises ValueError for one that cannot be in the shard."""
    sizes = [math.prod(shape) * itemsize for shape in shapes]
    if any(min(shape, default=0) < 0 for shape in shapes) or max(sizes, default=0) > most:
        raise ValueError("an array is larger than the shard")
    return np.array(sizes, np.int64)


def _check_layout(offsets: np.ndarray, sizes: np.ndarray, whole: int) -> None:
    """Arrays lie back to back, from the first byte to the last: that is how they are written."""
    order = np.lexsort((sizes, offsets))  # empty arrays before the one that begins there
    starts = offsets[order]
    ends = starts + sizes[order]
    if not np.array_equal(np.append(starts, whole), np.insert(ends, 0, 0)):
        raise ValueError("the arrays do not fill the shard")


def publish(
    partial: Path, dtype: np.dtype, sha256: str, size: int, entries: Sequence[Entry]
) -> None:
    """Makes a shard of a finished file of bytes: visible by one rename, so whole or absent."""
    about = {"dtype": dtype.str, "sha256": sha256, "bytes": size}
    keys, offsets, shapes = zip(*sorted(entries), strict=True)
    table = pa.table({"key": keys, "offset": offsets, "shape": shapes})
    written = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata({"shard": json.dumps(about)}), written)
    content = written.getvalue().to_pybytes()
    # The number keeps apart two writers of the same arrays.
    name = f"{uuid.uuid4().hex}-{hashlib.sha256(content).hexdigest()}"
    index = partial.with_name(f"{name}.parquet.partial")
    index.write_bytes(content)
    os.replace(partial, partial.with_name(f"{name}.bin"))
    os.replace(index, index.with_suffix(""))
