"""Damage to a shard's index: the shard is left out, whatever the damage is."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graftwork.storage.array_store import ArrayStore
from graftwork.storage.files import DamageWarning

ARRAYS = {
    f"{number:064x}": np.arange(number, number + np.prod(shape), dtype=np.float32).reshape(shape)
    for number, shape in enumerate([(2, 3), (3, 2), (4,), (), (0, 3)] * 12)
}
ABOUT = {"dtype": "<f4", "sha256": "", "bytes": 40}
pytestmark = pytest.mark.filterwarnings("ignore::graftwork.storage.files.DamageWarning")


@pytest.fixture
def index(tmp_path: Path) -> Path:
    ArrayStore(tmp_path, "float32").append(ARRAYS.items())
    return next(tmp_path.glob("*.parquet"))


def without_checksum(index: Path) -> Path:
    """The shard as earlier versions named it: nothing says what the index held."""
    index.with_suffix(".bin").rename(index.with_name("0123.bin"))
    return index.rename(index.with_name("0123.parquet"))


def flipped(content: bytes, flips: int) -> list[bytes]:
    """Copies of the content with one bit changed."""
    rng = np.random.default_rng(0)
    copies = []
    for place in rng.integers(8 * len(content), size=flips):
        copy = bytearray(content)
        copy[place // 8] ^= 1 << (place % 8)
        copies.append(bytes(copy))
    return copies


def test_one_flipped_bit_of_the_index_leaves_the_shard_out(index: Path) -> None:
    content = index.read_bytes()
    for damaged in flipped(content, 500):
        index.write_bytes(damaged)
        with pytest.warns(DamageWarning):
            store = ArrayStore(index.parent, "float32")
        assert store.missing(ARRAYS) == list(ARRAYS)
    index.write_bytes(content)
    assert ArrayStore(index.parent, "float32").missing(ARRAYS) == []


def test_an_index_without_checksum_is_read(index: Path) -> None:
    store = ArrayStore(without_checksum(index).parent, "float32", verify=True)
    assert all(np.array_equal(store[key], array) for key, array in ARRAYS.items())


def test_damage_to_an_index_without_checksum_raises_nothing(index: Path) -> None:
    index = without_checksum(index)
    for damaged in flipped(index.read_bytes(), 500):
        index.write_bytes(damaged)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DamageWarning)
            store = ArrayStore(index.parent, "float32")
            for array in map(store.get, ARRAYS):
                assert array is None or array.dtype == np.float32


@pytest.mark.parametrize(
    ("shapes", "offsets"),
    [
        (["2,3", "4"], [0, 20]),  # they overlap
        (["2,3", "4"], [0, 32]),  # past the end
        (["2,3", "4"], [-8, 24]),
        (["2,3", "3"], [0, 24]),  # the end belongs to nobody
        (["-2,-3", "4"], [0, 24]),
        (["99999999999,99999999999", "4"], [0, 24]),
        (["2,x", "4"], [0, 24]),
        ([None, "4"], [0, 24]),
        (["2,3", "4"], [0, None]),
        (["2,3", "4"], ["a", "b"]),
        ([6, 4], [0.5, 24.0]),
    ],
)
def test_entries_that_do_not_fit_the_shard_leave_it_out(
    tmp_path: Path, shapes: list[Any], offsets: list[Any]
) -> None:
    written(tmp_path, {"key": ["a", "b"], "offset": offsets, "shape": shapes}, ABOUT)
    assert len(ArrayStore(tmp_path, "float32")) == 0


@pytest.mark.parametrize("about", [{}, [], "x", ABOUT | {"bytes": "40"}, ABOUT | {"dtype": None}])
def test_an_index_that_says_something_else_is_left_out(tmp_path: Path, about: Any) -> None:
    columns = {"key": ["a", "b"], "offset": [0, 24], "shape": ["2,3", "4"]}
    written(tmp_path, columns, ABOUT)
    assert len(ArrayStore(tmp_path, "float32")) == 2
    written(tmp_path, columns, about)
    assert len(ArrayStore(tmp_path, "float32")) == 0


def written(folder: Path, columns: dict[str, list[Any]], about: Any) -> None:
    """A shard of 40 bytes and two entries, without checksum."""
    (folder / "0123.bin").write_bytes(bytes(40))
    table = pa.table(columns).replace_schema_metadata({"shard": json.dumps(about)})
    pq.write_table(table, folder / "0123.parquet")
