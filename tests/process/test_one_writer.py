"""Two stages never write into one experiment at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from graftwork.config.errors import UserError
from graftwork.process.one_writer import LOCK, only_writer

SRC = Path(__file__).parents[2] / "src"
HOLDER = """
import sys, time
from pathlib import Path
from graftwork.process.one_writer import only_writer
with only_writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_is_refused_until_the_first_has_ended_however_it_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": str(SRC)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with (
            pytest.raises(UserError, match=rf"another process \({holder.pid}\) is running a stage"),
            only_writer(tmp_path),
        ):
            raise AssertionError("two writers")
        holder.kill()
    with only_writer(tmp_path):
        assert (tmp_path / LOCK).exists()


def test_one_after_the_other_and_side_by_side_in_other_folders(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for _ in range(2):
        with only_writer(tmp_path), only_writer(tmp_path / "a"):
            assert (tmp_path / LOCK).exists() and (tmp_path / "a" / LOCK).exists()


def test_the_processes_of_one_stage_count_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with only_writer(tmp_path):
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
        with only_writer(tmp_path):
            assert (tmp_path / LOCK).exists()
