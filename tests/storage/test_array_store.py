from __future__ import annotations

import multiprocessing
import os
import threading
import warnings
from contextlib import nullcontext

import numpy as np
import pyarrow.parquet as pq
import pytest

from graftwork.storage import array_store as store_module
from graftwork.storage.array_store import ArrayStore
from graftwork.storage.files import DamageWarning


def arrays(*keys: str, shape=(2, 3)):
    return [(key, np.full(shape, index + 1, np.float32)) for index, key in enumerate(keys)]


@pytest.fixture
def filled(tmp_path):
    store = ArrayStore(tmp_path / "store", "float32")
    assert store.append(arrays("b", "a", "c")) == 3
    return store


def test_what_goes_in_comes_out(filled):
    for store in (filled, ArrayStore(filled.folder, "float32")):
        assert len(store) == 3 and "a" in store and "x" not in store
        assert np.array_equal(store["a"], np.full((2, 3), 2, np.float32))
        assert store.get("x") is None
        with pytest.raises(KeyError, match="x"):
            store["x"]


def test_views_cannot_be_written_to(filled):
    with pytest.raises(ValueError, match="read-only"):
        filled["a"][0] = 1


def test_missing_names_each_key_once_in_order(filled):
    assert filled.missing(["z", "a", "y", "z", "b", "longer than any"]) == [
        "z",
        "y",
        "longer than any",
    ]
    assert filled.missing([]) == []
    assert ArrayStore(filled.folder / "nothing", "u1").missing(["a"]) == ["a"]


def test_rows_come_in_the_order_asked(filled):
    assert filled.rows(["c", "a", "b", "a"])[:, 0, 0].tolist() == [3, 2, 1, 2]
    with pytest.raises(KeyError, match="x"):
        filled.rows(["a", "x"])
    with pytest.raises(ValueError, match="no keys"):
        filled.rows([])


def test_shapes_and_keys_of_any_kind(tmp_path):
    store = ArrayStore(tmp_path, "uint8")
    items = {
        "scalar": np.array(7, np.uint8),
        "empty": np.zeros((0, 3), np.uint8),
        "wide": np.arange(12, dtype=np.uint8).reshape(2, 6),
        "turned": np.arange(12, dtype=np.uint8).reshape(2, 6).T,
        "früchte": np.ones(1, np.uint8),
    }
    store.append(items.items())
    for key, value in items.items():
        assert np.array_equal(store[key], value) and store[key].shape == value.shape
    only_empty = ArrayStore(tmp_path / "other", "uint8")
    only_empty.append([("e", np.zeros((0, 3), np.uint8))])
    assert only_empty["e"].shape == (0, 3)


def test_later_shards_add_and_the_first_stays(filled):
    filled.append([("d", np.zeros(5, np.float32)), ("a", np.full((2, 3), 99, np.float32))])
    assert filled["d"].shape == (5,)
    assert filled["a"][0, 0] in (2, 99), "same key, same content: either will do"
    assert filled["b"][0, 0] == 1


def test_shards_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "SHARD_BYTES", 50)
    store = ArrayStore(tmp_path, "float32")
    assert store.append(arrays(*"abcdefg")) == 7  # 24 bytes each
    assert len(list(tmp_path.glob("*.bin"))) == 3
    assert store.rows(list("gfedcba"))[:, 0, 0].tolist() == [7, 6, 5, 4, 3, 2, 1]


def test_nothing_written_leaves_nothing(tmp_path):
    assert ArrayStore(tmp_path, "u1").append([]) == 0
    assert not list(tmp_path.iterdir())


def test_what_came_before_an_error_is_kept(tmp_path):
    def failing():
        yield from arrays("a", "b")
        raise RuntimeError("half way")

    store = ArrayStore(tmp_path, "float32")
    with pytest.raises(RuntimeError, match="half way"):
        store.append(failing())
    assert len(store) == len(ArrayStore(tmp_path, "float32", verify=True)) == 2
    assert not list(tmp_path.glob("*.partial"))


def test_a_full_disk_leaves_no_broken_shard(tmp_path, filled, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        filled.append(arrays("x"))
    assert len(ArrayStore(filled.folder, "float32", verify=True)) == 3
    assert len(list(filled.folder.iterdir())) == 2


@pytest.mark.parametrize("damage", ["shorter", "gone", "index cut", "index foreign", "dtype"])
def test_a_damaged_shard_counts_as_missing(filled, damage):
    data, index = next(filled.folder.glob("*.bin")), next(filled.folder.glob("*.parquet"))
    if damage == "shorter":
        os.truncate(data, data.stat().st_size - 1)
    elif damage == "gone":
        data.unlink()
    elif damage == "index cut":
        os.truncate(index, 40)
    elif damage == "index foreign":
        pq.write_table(pq.read_table(index).replace_schema_metadata(None), index)
    dtype = "float64" if damage == "dtype" else "float32"
    told = nullcontext() if damage == "dtype" else pytest.warns(DamageWarning, match=index.name)
    with told:
        store = ArrayStore(filled.folder, dtype)
    assert len(store) == 0 and store.missing(["a"]) == ["a"]
    with store.writing():
        assert index.exists() == (damage == "dtype"), "what is of no use to anyone goes"
        store.append([("a", np.zeros(2, dtype))])
    assert store["a"].shape == (2,)


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_a_flipped_bit_is_found_when_its_array_is_read(filled):
    flip(next(filled.folder.glob("*.bin")), 5)  # of the first that was written
    store = ArrayStore(filled.folder, "float32")
    assert store["a"][0, 0] == 2 and "b" in store
    with pytest.warns(DamageWarning, match=r"\.bin: damaged"):
        assert store.get("b") is None
    assert "b" not in store and store.missing("abc") == ["b"] and len(store) == 2
    with pytest.raises(KeyError, match="b"):
        store.rows(["a", "b"])
    with pytest.warns(DamageWarning), pytest.raises(KeyError, match="b"):
        ArrayStore(filled.folder, "float32").rows(["a", "b", "c"])


def test_verify_finds_all_that_is_damaged(filled):
    data = next(filled.folder.glob("*.bin"))
    flip(data, 5)
    with pytest.warns(DamageWarning, match="damaged"):
        store = ArrayStore(filled.folder, "float32", verify=True)
    assert store.missing("abc") == ["b"] and store.damaged == [data]


def test_who_opens_it_next_knows_and_the_next_writer_mends(filled):
    data = next(filled.folder.glob("*.bin"))
    flip(data, 5)
    with pytest.warns(DamageWarning):
        filled.get("b")
    with pytest.warns(DamageWarning):
        store = ArrayStore(filled.folder, "float32")
    assert store.missing("abc") == ["b"], "without having been asked for it"
    with store.writing():
        assert store.missing("abc") == ["b"]
        store.append(arrays("b"))
    assert not data.exists() and len(list(filled.folder.glob("*.bin"))) == 2
    assert not list(filled.folder.glob("*.damaged"))
    for mended in (store, ArrayStore(filled.folder, "float32", verify=True)):
        assert mended.rows(list("abc"))[:, 0, 0].tolist() == [2, 1, 3] and not mended.damaged
    with store.writing():
        assert len(list(filled.folder.glob("*.bin"))) == 2, "once"


def test_another_copy_of_the_array_takes_its_place(filled):
    flip(next(filled.folder.glob("*.bin")), 5)
    other = ArrayStore(filled.folder, "float32")
    other.append(arrays("b"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # which of the two is looked at first is chance
        assert other["b"][0, 0] == 1 and other.rows(["b", "a"])[:, 0, 0].tolist() == [1, 2]


def test_a_shard_of_an_earlier_version_is_compared_whole(filled):
    index, data = next(filled.folder.glob("*.parquet")), next(filled.folder.glob("*.bin"))
    table = pq.read_table(index)
    old = index.with_name("0123.parquet")
    pq.write_table(table.drop_columns(["crc"]), old)
    index.unlink()
    data.rename(old.with_suffix(".bin"))
    assert ArrayStore(filled.folder, "float32").rows(["a", "b"])[:, 0, 0].tolist() == [2, 1]
    flip(old.with_suffix(".bin"), 5)
    with pytest.warns(DamageWarning, match="0123.bin"):
        assert ArrayStore(filled.folder, "float32").get("a") is None


def test_refresh_takes_in_what_others_wrote(filled):
    other = ArrayStore(filled.folder, "float32")
    other.append(arrays("new"))
    assert "new" not in filled
    filled.refresh()
    assert "new" in filled and filled["b"][0, 0] == 1


def test_writing_waits_and_then_sees(tmp_path):
    first, second = ArrayStore(tmp_path, "float32"), ArrayStore(tmp_path, "float32")
    seen: list[list[str]] = []

    def late():
        with second.writing():
            seen.append(second.missing(["a", "b"]))

    with first.writing():
        thread = threading.Thread(target=late)
        thread.start()
        first.append(arrays("a"))
        assert not seen
    thread.join(10)
    assert seen == [["b"]]


def test_writing_sweeps_what_the_dead_left(tmp_path):
    old, young = tmp_path / "old.bin.partial", tmp_path / "young.bin.partial"
    for path in (old, young, old.with_name("old.bin"), young.with_name("young.bin")):
        path.write_bytes(b"x")
        os.utime(path, (0, 0) if path.name.startswith("old") else None)
    with ArrayStore(tmp_path, "u1").writing():
        assert sorted(p.name for p in tmp_path.glob("*.b*")) == ["young.bin", "young.bin.partial"]


def _killed_half_way(folder, started):
    def items():
        yield from arrays("a")
        started.set()
        threading.Event().wait()

    ArrayStore(folder, "float32").append(items())


def test_a_killed_writer_leaves_the_store_as_it_was(filled):
    context = multiprocessing.get_context("spawn")
    started = context.Event()
    process = context.Process(target=_killed_half_way, args=(filled.folder, started))
    process.start()
    assert started.wait(20)
    process.kill()
    process.join(10)
    assert len(ArrayStore(filled.folder, "float32", verify=True)) == 3
