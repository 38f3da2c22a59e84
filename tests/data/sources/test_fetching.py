import hashlib
import os
from pathlib import Path

import pytest

from graftwork.config.errors import UserError
from graftwork.data.sources.fetching import (
    Pin,
    check_pin,
    new_folder,
    obtain,
    place,
    without_secrets,
)
from graftwork.storage.files import DamageWarning, sha256_of, write_json

DATA = b"some weights"
SHA = hashlib.sha256(DATA).hexdigest()
PIN = Pin(len(DATA), SHA)


class Fetch:
    """Writes the given contents, one a call."""

    def __init__(self, *contents: bytes) -> None:
        self.contents = list(contents)

    def __call__(self, partial: Path) -> None:
        partial.write_bytes(self.contents.pop(0))


def left(downloads: Path) -> list[str]:
    return [p.name for p in downloads.rglob("*") if p.is_file() and p.suffix != ".lock"]


def test_a_verified_file_is_kept_and_not_fetched_again(tmp_path: Path) -> None:
    fetch = Fetch(DATA)
    path = obtain(tmp_path, PIN, "w.pth", "here", fetch)
    assert path.read_bytes() == DATA and path.name == "w.pth"
    assert obtain(tmp_path, PIN, "w.pth", "here", fetch) == path  # a second call would fail


def test_a_touched_file_is_hashed_and_kept(tmp_path: Path) -> None:
    path = obtain(tmp_path, PIN, "w.pth", "here", Fetch(DATA))
    os.utime(path, (1, 1))
    assert obtain(tmp_path, PIN, "w.pth", "here", Fetch()) == path


def test_a_changed_file_is_fetched_anew(tmp_path: Path) -> None:
    path = obtain(tmp_path, PIN, "w.pth", "here", Fetch(DATA))
    stamp = path.stat().st_mtime_ns
    path.write_bytes(b"some weightz")
    os.utime(path, ns=(stamp, stamp))  # as a disk that decays leaves it
    with pytest.warns(DamageWarning, match=path.name):
        assert obtain(tmp_path, PIN, "w.pth", "here", Fetch(DATA)).read_bytes() == DATA


def test_a_wrong_hash_names_both_and_leaves_nothing(tmp_path: Path) -> None:
    other = b"some weightz"
    with pytest.raises(UserError) as caught:
        obtain(tmp_path, PIN, "w.pth", "here", Fetch(other))
    assert SHA in str(caught.value) and hashlib.sha256(other).hexdigest() in str(caught.value)
    assert left(tmp_path) == []


def test_a_wrong_size_names_both_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="4 bytes arrived, 12 are pinned"):
        obtain(tmp_path, PIN, "w.pth", "here", Fetch(b"some"))
    assert left(tmp_path) == []


def test_a_stale_part_is_given_one_clean_attempt(tmp_path: Path) -> None:
    partial = tmp_path / "partial" / f"{SHA}-w.pth"
    partial.parent.mkdir()
    partial.write_bytes(b"zzz")
    assert obtain(tmp_path, PIN, "w.pth", "here", Fetch(b"bad", DATA)).read_bytes() == DATA


def test_a_failed_fetch_leaves_its_part_for_the_next(tmp_path: Path) -> None:
    def fail(partial: Path) -> None:
        partial.write_bytes(b"some")
        raise UserError("cut")

    with pytest.raises(UserError, match="cut"):
        obtain(tmp_path, PIN, "w.pth", "here", fail)
    assert left(tmp_path) == [f"{SHA}-w.pth"]


def test_place_copies_whole_or_not_at_all(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(DATA)
    place(source, tmp_path / "sub" / "copy", SHA)
    assert sha256_of(tmp_path / "sub" / "copy") == SHA
    with pytest.raises(UserError, match="is pinned"):
        place(source, tmp_path / "other" / "copy", "0" * 64)
    assert list((tmp_path / "other").iterdir()) == []


def test_a_folder_is_replaced_only_when_its_successor_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "data"
    with new_folder(target) as folder:
        (folder / "a").touch()
    with pytest.raises(RuntimeError), new_folder(target) as folder:
        (folder / "b").touch()
        raise RuntimeError
    assert [p.name for p in target.iterdir()] == ["a"]
    with new_folder(target) as folder:
        (folder / "c").touch()
    assert [p.name for p in target.iterdir()] == ["c"]
    assert [p.name for p in tmp_path.iterdir()] == ["data"]


def test_receipts_are_written_whole(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_json(tmp_path / "r.json", object())
    write_json(tmp_path / "r.json", {"ü": 1})
    assert [p.read_text("utf-8") for p in tmp_path.iterdir()] == ['{\n "ü": 1\n}\n']


@pytest.mark.parametrize("pin", [(0, SHA), (3, "abc"), (3, SHA.upper())])
def test_impossible_pins_are_refused(pin: tuple[int, str]) -> None:
    with pytest.raises(UserError, match="Legal"):
        check_pin(*pin)


def test_addresses_are_shown_without_secrets() -> None:
    assert without_secrets("https://u:p@host:8/a/b?token=1#x") == "https://host:8/a/b"
