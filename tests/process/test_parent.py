"""What DVC or torchrun started ends with it, and what a person started does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"
CHILD = """
import sys, time
from graftwork.process.parent import end_with_starter
end_with_starter()
open(sys.argv[1], "w").write("there")
time.sleep(30)
"""
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2]])
print(child.pid, flush=True)
time.sleep(30)
"""


def ends(child: int) -> bool:
    """Whether it has ended within three seconds."""
    for _ in range(60):
        try:
            if Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the system cannot tell")
@pytest.mark.parametrize(
    ("starter", "expected"), [("DVC_STAGE", True), ("TORCHELASTIC_RUN_ID", True), ("NOBODY", False)]
)
def test_a_stage_ends_with_what_started_it(tmp_path: Path, starter: str, expected: bool) -> None:
    note = tmp_path / "there"
    env = {k: v for k, v in os.environ.items() if k not in ("DVC_STAGE", "TORCHELASTIC_RUN_ID")}
    env |= {starter: "1", "PYTHONPATH": str(SRC)}
    command = [sys.executable, "-c", PARENT, CHILD, str(note)]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        while not note.exists():
            time.sleep(0.02)
        parent.kill()
    ended = ends(child) if expected else not ends_not(child)
    if not ended:
        os.kill(child, signal.SIGKILL)
    assert ended == expected


def ends_not(child: int) -> bool:
    """Whether it is still there after half a second."""
    time.sleep(0.5)
    return Path(f"/proc/{child}").exists()
