from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from written_model import Trained, stored, write

from graftwork.model_folder import saving
from graftwork.model_folder.contents import BACKBONE, CONTRACT, HEAD, load
from graftwork.storage import files, swapping


def test_the_same_model_gives_the_same_bytes(tmp_path: Path, trained: Trained) -> None:
    write(tmp_path / "a", trained)
    write(tmp_path / "b", trained)
    write(tmp_path / "c", trained, weights=stored(tmp_path / "a", trained[1]))
    for name in (BACKBONE, HEAD, CONTRACT):
        first = (tmp_path / "a" / name).read_bytes()
        assert first == (tmp_path / "b" / name).read_bytes() == (tmp_path / "c" / name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [BACKBONE, HEAD, CONTRACT]


def test_a_stored_backbone_is_linked_or_else_copied(
    tmp_path: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a", trained)
    weights = stored(tmp_path / "a", trained[1])
    write(tmp_path / "b", trained, weights=weights)
    assert (tmp_path / "a" / BACKBONE).samefile(tmp_path / "b" / BACKBONE)

    def fail(*_: object) -> None:
        raise OSError("another file system")

    (tmp_path / "cache").mkdir()
    weights.file.rename(tmp_path / "cache" / "file")  # as DVC does with cache.type=symlink
    weights.file.symlink_to(tmp_path / "cache" / "file")
    write(tmp_path / "d", trained, weights=weights)
    assert not (tmp_path / "d" / BACKBONE).is_symlink()

    monkeypatch.setattr(files.os, "link", fail)
    write(tmp_path / "c", trained, weights=weights)
    assert not (tmp_path / "a" / BACKBONE).samefile(tmp_path / "c" / BACKBONE)
    for name in ("b", "c", "d"):
        load(tmp_path / name)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")}


def test_a_save_that_fails_leaves_the_earlier_model(
    tmp_path: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    write(folder, trained)
    before = contents(tmp_path)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    for name in ("write_durably", "params_of"):
        with monkeypatch.context() as patch:
            patch.setattr(saving, name, full)
            with pytest.raises(OSError, match="No space"):
                write(folder, trained)
        assert contents(tmp_path) == before, name


@pytest.mark.parametrize("way", ["at once", "another system", "mounted"])
def test_the_new_model_takes_the_place_of_the_old(
    tmp_path: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    if way != "at once":
        monkeypatch.setattr(swapping.ctypes, "CDLL", lambda *_, **__: object())
    if way == "mounted":
        monkeypatch.setattr(swapping, "_renamed", lambda *_: False)
    folder = tmp_path / "model"
    write(folder, trained)
    (folder / "notes.txt").write_text("mine")
    write(folder, trained, data_digest="new")
    assert load(folder)[1].data_digest == "new"
    assert sorted(contents(folder)) == [BACKBONE, HEAD, CONTRACT, "notes.txt"]
    assert not list(tmp_path.glob(".model*"))
