"""A new folder in the place of an old one; what a kill left goes, what is at work stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from graftwork.storage.swapping import swapped_in


def test_what_a_killed_process_left_goes_and_what_another_fills_stays(tmp_path: Path) -> None:
    target = tmp_path / "onnx[1]"
    left, foreign = tmp_path / ".onnx[1].12345678.partial", tmp_path / ".onnx.12345678.partial"
    for folder in (left, foreign):
        folder.mkdir()
        (folder / "model.onnx").touch()
    with swapped_in(target, "last") as one:
        assert not left.exists() and foreign.exists()
        with swapped_in(target, "last") as other:
            (other / "last").touch()
            assert one.is_dir()
        (one / "last").write_text("later")
    assert (target / "last").read_text() == "later"
    assert sorted(path.name for path in tmp_path.iterdir()) == [foreign.name, target.name]


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    with swapped_in(target, "last") as partial:
        (partial / "last").touch()
    with pytest.raises(ZeroDivisionError), swapped_in(target, "last"):
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert (target / "last").exists()
