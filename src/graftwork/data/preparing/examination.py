"""Every listed file, looked at once: hashed, decoded, judged, and kept decoded.

Threads suffice: hashing, decoding and resizing all run outside of Python's lock. What the store
holds already is only hashed and its header read. Memory holds a few dozen pictures and one row of
text a file.
"""

from __future__ import annotations

import hashlib
import math
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from graftwork.data.datasets.base import Dataset, Record
from graftwork.data.images import UnreadableImage
from graftwork.data.images.decoding import Header, examine, inspect
from graftwork.data.manifest import OK
from graftwork.data.preparing import same_pictures
from graftwork.process.cores import cores
from graftwork.process.read_ahead import ahead
from graftwork.storage.array_store import ArrayStore

GIB = 2**30
DISK_SHARE = 0.5  # of the free disk that decoded pictures may take
AHEAD = 8  # files that each thread may be ahead of the one that is written
ROWS = 1 << 16  # rows that are packed at once

SCHEMA = pa.schema(
    {
        "path": pa.string(),
        "class": pa.string(),
        "split": pa.string(),  # as the data says, or null
        "group": pa.string(),
        "sha256": pa.string(),
        "width": pa.int32(),
        "height": pa.int32(),
        "verdict": pa.string(),
        "several_frames": pa.bool_(),
        "turned": pa.bool_(),
        "taken": pa.float64(),  # seconds since the epoch, or NaN
        "look": pa.binary(),  # see same_pictures; null where this one was not decoded
    }
)
NOTHING = Header(0, 0, False, False, math.nan)


@dataclass(frozen=True)
class Kept:
    """What is kept decoded."""

    pictures: int
    gib: float
    decoded: int  # pictures decoded just now, kept or not


@dataclass(frozen=True)
class _Look:
    record: Record
    sha256: str
    header: Header
    verdict: str
    pixels: np.ndarray | None  # None: unreadable, a copy, or in the store
    look: bytes | None = None  # None: unreadable or a copy
    is_copy: bool = False  # of a file that was looked at before

    def row(self) -> tuple[Any, ...]:
        record, header = self.record, self.header
        text = (str(record.path), record.label, record.split, record.group, self.sha256)
        size = (header.width, header.height)
        seen = header.several_frames, header.turned, header.taken, self.look
        return (*text, *size, self.verdict, *seen)


def examine_all(
    records: Iterable[Record],
    dataset: Dataset,
    store: ArrayStore,
    seen: Callable[[int], None] = lambda done: None,
) -> tuple[pd.DataFrame, Kept]:
    """Looks at every file and fills the decoded store.

    Args:
        records: what the data set lists.
        dataset: whose bounds apply.
        store: of decoded pictures; grows until the set holds `decoded_budget_gib`, or half of the
            disk that is free.
        seen: told how many files are done.

    Returns:
        One row a record, in order (columns of `SCHEMA`), and what is kept decoded.
    """
    packer, keeper = _Packer(), _Keeper(store, dataset.decoded_budget_gib)
    look = _Looker(dataset, store)

    def fresh() -> Iterator[tuple[str, np.ndarray]]:
        for done, found in enumerate(ahead(look, records, AHEAD * cores(), "decode"), 1):
            packer.add(found.row())
            seen(done)
            if keeper.wants(found):
                assert found.pixels is not None
                yield found.sha256, found.pixels

    _keep_all(fresh(), store)
    return _same_verdict_for_same_bytes(packer.frame()), keeper.kept


def _keep_all(fresh: Iterator[tuple[str, np.ndarray]], store: ArrayStore) -> None:
    """Stores what is not there yet; a store that lacks nothing need not be writable."""
    first = next(fresh, None)
    if first is None:
        return
    with store.writing():  # another process may have stored them while this one waited
        store.append(item for item in chain([first], fresh) if item[0] not in store)


class _Looker:
    """Looks at one file. Called from many threads; no content is decoded twice."""

    def __init__(self, dataset: Dataset, store: ArrayStore) -> None:
        self._dataset, self._store = dataset, store
        self._lock, self._begun = threading.Lock(), set[bytes]()

    def __call__(self, record: Record) -> _Look:
        try:
            content = self._dataset.open(record.path)
        except OSError as error:
            return _Look(record, "", NOTHING, f"cannot be read: {error.strerror}", None)
        digest = hashlib.sha256(content)
        sha256, bound = digest.hexdigest(), self._dataset.max_pixels
        is_copy = self._is_copy(digest.digest())
        try:
            if is_copy:
                return _Look(record, sha256, inspect(content, bound), OK, None, is_copy=True)
            if (stored := self._store.get(sha256)) is not None:
                return _Look(record, sha256, inspect(content, bound), OK, None, _look(stored))
            header, pixels = examine(content, bound, self._dataset.decoded_side)
        except UnreadableImage as error:
            return _Look(record, sha256, NOTHING, str(error), None)
        return _Look(record, sha256, header, OK, pixels, _look(pixels))

    def _is_copy(self, digest: bytes) -> bool:
        with self._lock:
            before = len(self._begun)
            self._begun.add(digest)
            return len(self._begun) == before


def _look(pixels: np.ndarray) -> bytes:
    return same_pictures.look(pixels).tobytes()


class _Keeper:
    """Decides what is kept decoded, and counts it."""

    def __init__(self, store: ArrayStore, budget_gib: float) -> None:
        self._store = store
        existing = next(p for p in (store.folder, *store.folder.parents) if p.exists())
        self._budget = min(budget_gib * GIB, shutil.disk_usage(existing).free * DISK_SHARE)
        self._pictures = self._bytes = self._decoded = 0

    @property
    def kept(self) -> Kept:
        return Kept(self._pictures, self._bytes / GIB, self._decoded)

    def wants(self, look: _Look) -> bool:
        """Whether these pixels go to the store; counts those that are there already."""
        if look.verdict != OK or look.is_copy:
            return False
        if look.pixels is None:
            self._count(self._store.nbytes(look.sha256))
            return False
        self._decoded += 1
        fits = self._bytes + look.pixels.nbytes <= self._budget
        if fits:
            self._count(look.pixels.nbytes)
        return fits

    def _count(self, size: int) -> None:
        self._pictures += 1
        self._bytes += size


class _Packer:
    """Rows of text, packed as they come: a tenth of what Python objects take."""

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []
        self._batches: list[pa.RecordBatch] = []

    def add(self, row: tuple[Any, ...]) -> None:
        self._rows.append(row)
        if len(self._rows) >= ROWS:
            self._pack()

    def _pack(self) -> None:
        columns = zip(*self._rows, strict=True)
        arrays = [pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)]
        self._batches.append(pa.RecordBatch.from_arrays(arrays, schema=SCHEMA))
        self._rows = []

    def frame(self) -> pd.DataFrame:
        if self._rows:
            self._pack()
        return pa.Table.from_batches(self._batches, SCHEMA).to_pandas()


def _same_verdict_for_same_bytes(frame: pd.DataFrame) -> pd.DataFrame:
    """Of several copies only one was decoded; what it showed holds for all."""
    bad = frame[(frame["verdict"] != OK) & (frame["sha256"] != "")].drop_duplicates("sha256")
    if len(bad):
        verdicts = frame["sha256"].map(bad.set_index("sha256")["verdict"])
        spoiled = verdicts.notna()
        frame.loc[spoiled, "verdict"] = verdicts[spoiled]
        frame.loc[spoiled, ["width", "height"]] = 0
        frame.loc[spoiled, "taken"] = math.nan
    return frame
