"""A new folder in the place of an old one; what a kill left goes, what is at work stays."""

from __future__ import annotations

import subprocess
import sys
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


KILLED = """
import os, sys
from pathlib import Path
from graftwork.storage import swapping
folder = Path(sys.argv[1])
steps = iter(range(int(sys.argv[2])))
def end(*_):  # kill -9 at the n-th step that touches a name
    if next(steps, None) is None:
        os.kill(os.getpid(), 9)
for name in ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "ctypes.dlsym"):
    sys.addaudithook(lambda event, _, name=name: end() if event == name else None)
with swapping.swapped_in(folder, "last") as partial:
    for name in ("first", "last"):
        (partial / name).write_text("new")
"""


def test_a_save_that_is_killed_leaves_one_whole_model(tmp_path: Path) -> None:
    seen = set()
    for step in range(40):
        folder = tmp_path / str(step) / "model"
        folder.mkdir(parents=True)
        for name in ("first", "last"):
            (folder / name).write_text("old")
        command = [sys.executable, "-c", KILLED, str(folder), str(step)]
        code = subprocess.run(command, check=False).returncode
        found = {name: (folder / name).read_text() for name in ("first", "last")}
        assert set(found.values()) in ({"old"}, {"new"}), (step, found)
        seen |= set(found.values())
        if code == 0:
            break
    assert seen == {"old", "new"} and step > 5
