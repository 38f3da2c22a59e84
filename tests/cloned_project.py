"""This project as a newcomer clones it, set to tiny data, and its commands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from conftest import CONF

PROJECT = CONF.parent
TINY = ("model=tiny_cnn", "transfer=from_scratch", "trainer=smoke", "dataset=folder")
# A head on features runs a network in one stage of five: the others need not import torch.
PROBE = ("transfer=linear_probe", "transfer/start=random")


def probe_of(photos: Path) -> list[str]:
    tiny = [*TINY, *PROBE, "tracking.log_model=false", f"dataset.path={photos}"]
    return [override for override in tiny if override != "transfer=from_scratch"]


def cloned(copy: Path, *overrides: str) -> Path:
    """A copy of this project, committed with these settings."""
    copy.mkdir()
    for name in ("conf", "pipelines", "src", ".dvc"):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "cache", "tmp")
        shutil.copytree(PROJECT / name, copy / name, ignore=ignored)
    for name in ("dvc.yaml", "params.yaml", ".gitignore", ".dvcignore"):
        shutil.copy(PROJECT / name, copy / name)
    git = ["git", "-c", "user.name=tests", "-c", "user.email=tests@localhost"]
    run(copy, "pipelines.params", *overrides)
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "start"]):
        subprocess.run([*git, *command], cwd=copy, check=True)
    return copy


def run(folder: Path, *arguments: str, code: int = 0) -> str:
    """What `python -m ...` printed in a folder."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def environment(folder: Path) -> dict[str, str]:
    """As if the project were installed, by somebody whom git knows."""
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {
        **ours,  # compiled files appear beside the code, as everywhere else
        "PYTHONPATH": str(folder / "src"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "GIT_AUTHOR_NAME": "tests",
        "GIT_AUTHOR_EMAIL": "tests@localhost",
        "GIT_COMMITTER_NAME": "tests",
        "GIT_COMMITTER_EMAIL": "tests@localhost",
    }
