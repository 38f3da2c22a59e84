"""What only its owner should know stands in no output of an experiment: files, stores, terminal."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import TINY
from forked_commands import ForkedCommands

from attacks.attack import BAIT
from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from pipelines.overrides import requested

TOKEN = "ghp_" + BAIT.replace("-", "X") * 3  # of the shape that GitHub's have
ENVIRONMENT = {
    name: BAIT
    for name in (
        *("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME"),
        *("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "SOME_VARIABLE"),
    )
}


def holding_it(folder: Path, *said: str) -> Iterator[str]:
    """Files, names of files and texts in which it stands, plain or in base64."""
    wanted = [text.encode() for text in (BAIT, TOKEN)]
    wanted += [base64.b64encode(text)[4:-4] for text in wanted]
    for path in folder.rglob("*"):
        if ".git" in path.relative_to(folder).parts or path.name == "settings.py":
            continue  # where the user wrote it
        content = path.read_bytes() if path.is_file() else b""
        if any(text in content + str(path).encode() for text in wanted):
            yield str(path)
    yield from (text for text in said if any(part in text.encode() for part in wanted))


def git(folder: Path, *arguments: str) -> None:
    own = ["-c", "user.name=x", "-c", "user.email=x@x"]
    subprocess.run(["git", *own, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository in which somebody has just written keys into a tracked file."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "settings.py").write_text("api_key = None\nother = None\n")
    git(folder, "init", "-q")
    git(folder, "add", "settings.py")
    git(folder, "commit", "-qm", "first")
    (folder / "settings.py").write_text(f"api_key = '{BAIT}'\nother = '{TOKEN}'\nseen = 'plain'\n")
    return folder


REFUSED = [
    "+tracking.password={}",
    "+api_token={}",
    "tracking.uri=https://me:{}@host",
    "'tracking.uri=https://host/?token={}'",  # as no shell leaves it
    "tracking.uri=https://host/?token={}",
    'tracking.uri="https://host/?token={}"',
    "tracking.experiment=${{oc.env:SOME_VARIABLE}}",
    "dataset.name=${{oc.env:SOME_VARIABLE}}",
]


@pytest.mark.parametrize("override", REFUSED)
def test_who_types_it_is_not_told_it(override: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError) as refused:
        requested([override.format(BAIT)], Experiment.from_params)
    assert BAIT not in str(refused.value)


@pytest.mark.slow
def test_no_output_holds_it(project: Path, tiny_folder: Path, trainings: ForkedCommands) -> None:
    tiny = [word for word in TINY if not word.startswith("dataset.path")]
    words = ["pipelines.experiment", *tiny, f"dataset.path={tiny_folder}", "hydra.run.dir=job"]
    done = trainings.run(words, project, [ENVIRONMENT])
    assert done.returncode == 0, done.stderr
    assert not [*holding_it(project, done.stdout, done.stderr)]
    patches = [path.read_text() for path in project.rglob("uncommitted.diff")]
    assert patches and all("seen = 'plain'" in patch for patch in patches), "it was looked at"
    (project / "job" / "note.txt").write_text(TOKEN)
    assert [*holding_it(project)] == [str(project / "job" / "note.txt")]
