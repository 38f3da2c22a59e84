"""One shard of a store: a raw file of array bytes beside a Parquet index (key, offset, shape, crc).

The index carries the dtype, the size and the sha256 of the bytes; both files are named after the
sha256 of the index. So a single flipped bit in the index is found each time it is opened, at a
tenth of a millisecond per hundred kilobytes. The CRC-32 of each array finds one in the bytes when
that array is first read, without a look at any other.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import uuid
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from graftwork.storage.files import named, sha256_of

Shape = tuple[int, ...]
Entry = tuple[str, int, str, int]  # key, offset in bytes, shape as text: "2,3", CRC-32 of the bytes

_FIELDS = [
    pa.field("key", pa.binary(), nullable=False),
    pa.field("offset", pa.int64(), nullable=False),
    pa.field("shape", pa.string(), nullable=False),
]
_CRC = pa.field("crc", pa.uint32(), nullable=False)  # shards of earlier versions have none
_NOTHING = np.empty(0, np.uint8)


class Shard(NamedTuple):
    """What is in a shard; one row an entry."""

    data: Path  # the file of the bytes
    sha256: str  # of the bytes
    content: np.ndarray  # uint8, mapped
    keys: np.ndarray
    offsets: np.ndarray  # bytes
    shapes: list[Shape]  # the distinct ones
    shape: np.ndarray  # position in shapes
    crc: np.ndarray | None  # uint32; None: an earlier version wrote it, without


class DamagedShard(Exception):
    """Why a shard cannot be used, in a few words."""


def read_shard(index: Path, dtype: np.dtype) -> Shard | None:
    """The shard of this index, whose bytes nobody has compared yet; None: of another dtype.

    Args:
        index: its Parquet file.
        dtype: of the arrays.

    Raises:
        DamagedShard: it is not what was written. The disk was full, or the power went, while it
            was; or it has decayed.
        OSError: this user may not read it.
    """
    try:
        table, about = _read_index(index)
        data = index.with_suffix(".bin")
        if about["dtype"] != dtype.str:
            return None
        if data.stat().st_size != about["bytes"]:
            raise DamagedShard(f"{data.stat().st_size} bytes, {about['bytes']} were written")
        return _shard(table, data, str(about["sha256"]), dtype.itemsize)
    except PermissionError:
        raise
    except FileNotFoundError as error:
        raise DamagedShard("its other file is gone") from error
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise DamagedShard("its index is not what was written") from error


def dtypes_of(folder: Path) -> set[str]:
    """Of all shards in a folder whose index can be read; of a folder of damaged ones any."""
    found = set()
    for index in folder.glob("*.parquet"):
        try:
            found.add(str(_read_index(index)[1]["dtype"]))
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
            found |= {"uint8"} if not found else set()
    return found


def is_intact(shard: Shard) -> bool:
    """Whether all of the bytes are those that were written; reads them, once a process."""
    return sha256_of(shard.data) == shard.sha256


def _read_index(index: Path) -> tuple[pa.Table, dict[str, Any]]:
    content = index.read_bytes()
    _, named, expected = index.stem.partition("-")  # shards of earlier versions have a number only
    if named and hashlib.sha256(content).hexdigest() != expected:
        raise ValueError("the index is not what its name says")
    table = pq.ParquetFile(pa.BufferReader(content)).read()
    fields = [*_FIELDS, *([_CRC] if _CRC.name in table.column_names else [])]
    return table.cast(pa.schema(fields)), json.loads(table.schema.metadata[b"shard"])


def _shard(table: pa.Table, data: Path, sha256: str, itemsize: int) -> Shard:
    encoded = table["shape"].combine_chunks().dictionary_encode()
    shapes = [_shape(text) for text in encoded.dictionary.to_pylist()]
    shape, offsets = encoded.indices.to_numpy(), table["offset"].to_numpy()
    size = data.stat().st_size
    _check_layout(offsets, _sizes(shapes, itemsize, size)[shape], size)
    keys = np.array(table["key"].to_pylist(), "S")
    content = np.memmap(data, np.uint8, "r").view(np.ndarray) if size else _NOTHING
    crc = table[_CRC.name].to_numpy() if _CRC.name in table.column_names else None
    return Shard(data, sha256, content, keys, offsets, shapes, shape, crc)


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


def entry(key: str, offset: int, array: np.ndarray, raw: memoryview) -> Entry:
    """The row of the index for an array whose bytes stand at this offset."""
    return key, offset, ",".join(map(str, np.shape(array))), zlib.crc32(raw)


def publish(
    partial: Path, dtype: np.dtype, sha256: str, size: int, entries: Sequence[Entry]
) -> None:
    """Makes a shard of a finished file of bytes: visible by one rename, so whole or absent."""
    about = {"dtype": dtype.str, "sha256": sha256, "bytes": size}
    columns = zip(*sorted(entries), strict=True)
    fields = [*_FIELDS, _CRC]
    arrays = [pa.array(column, f.type) for column, f in zip(columns, fields, strict=True)]
    table = pa.Table.from_arrays(arrays, schema=pa.schema(fields))
    written = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata({"shard": json.dumps(about)}), written)
    content = written.getvalue().to_pybytes()
    # The number keeps apart two writers of the same arrays.
    name = f"{uuid.uuid4().hex}-{hashlib.sha256(content).hexdigest()}"
    index = partial.with_name(f"{name}.parquet.partial")
    with named(index):
        index.write_bytes(content)
    os.replace(partial, partial.with_name(f"{name}.bin"))
    os.replace(index, index.with_suffix(""))
