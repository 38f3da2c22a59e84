"""Checkpoints are whole or absent, whatever happens while one is written or after."""

from __future__ import annotations

import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from graftwork.config.errors import UserError
from graftwork.training.resuming import files

SIZE = 2**18  # values of a state, a MiB


def state(number: int) -> dict[str, Any]:
    return {"number": number, "weights": torch.full((SIZE,), float(number))}


def write(folder: Path, number: int) -> None:
    files.write(folder, f"{number:03d}", state(number), {"own": [number, None, -1.5]})


def number_of(folder: Path) -> int:
    found = files.newest(folder)
    assert found is not None and found["own"][0] == found["number"]
    assert bool((found["weights"] == found["number"]).all())
    return int(found["number"])


def in_a_process(work: Callable[[], None]) -> int:
    """How a child that does this ends: its exit code, or minus the signal."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except OSError:
            code = 28
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture
def two(tmp_path: Path) -> Path:
    for number in (1, 2):
        write(tmp_path, number)
    return tmp_path


def test_the_last_two_are_kept(two: Path) -> None:
    assert files.newest(two / "elsewhere") is None
    for number in (3, 4):
        write(two, number)
    assert number_of(two) == 4
    assert sorted(path.name for path in two.iterdir()) == [
        "003.0.pt", "003.json", "004.0.pt", "004.json",
    ]  # fmt: skip


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "a bit": lambda folder: flipped(folder / "002.0.pt"),
    "its end": lambda folder: os.truncate(folder / "002.0.pt", 1000),
    "the file": lambda folder: (folder / "002.0.pt").unlink(),
    "its receipt": lambda folder: (folder / "002.json").write_text('{"sha256": '),
    "what the receipt says": lambda folder: (folder / "002.json").write_text("[1]"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_behind_a_damaged_one_stands_the_one_before(
    damage: str, two: Path, caplog: pytest.LogCaptureFixture
) -> None:
    DAMAGES[damage](two)
    assert number_of(two) == 1
    assert "002: this checkpoint is damaged" in caplog.text


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("which", [1, 2])
def test_killed_while_it_is_written_the_one_before_stands(
    call: str, which: int, two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the file and of its receipt, before they are on the disk and before they are in place."""
    real, calls = getattr(os, call), []

    def killed(*given: Any) -> Any:
        calls.append(call)
        if len(calls) == which:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*given)

    monkeypatch.setattr(os, call, killed)
    if (call, which) == ("replace", 2):  # the receipt is put in place by another call
        monkeypatch.setattr(Path, "replace", lambda self, target: killed(self, target))
    assert in_a_process(lambda: write(two, 3)) == -signal.SIGKILL
    monkeypatch.undo()
    assert number_of(two) == 2
    write(two, 4)
    assert number_of(two) == 4
    assert len(list(two.iterdir())) == 4  # what the kill left is gone


def test_on_a_full_disk_the_ones_before_stand(two: Path) -> None:
    def work() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE, SIZE))
        write(two, 3)

    assert in_a_process(work) == 28
    assert number_of(two) == 2
    assert len(list(two.iterdir())) == 4


def test_nothing_but_plain_values_is_loaded(two: Path, tmp_path: Path) -> None:
    files.write(two, "003", {"evil": Path("x")}, {})
    with pytest.raises(Exception, match="[Ww]eights.?only"):
        files.newest(two)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file/x: checkpoints cannot be .*checkpoint_minutes=null"):
        files.check_room(tmp_path / "file" / "x", 1)


def test_too_little_room_is_told_before_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.check_room(tmp_path, 2**20)
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 6, 3 * 2**20 - 1)
    )
    with pytest.raises(UserError, match="3 checkpoints of 1 MiB need 3 MiB, and 3 MiB are free"):
        files.check_room(tmp_path, 2**20)
    assert not list(tmp_path.iterdir())
