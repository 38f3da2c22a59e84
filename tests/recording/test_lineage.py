from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from graftwork.recording import lineage as module
from graftwork.recording.lineage import MAX_DIFF, dirty_diff, dvc_lock, lineage
from graftwork.storage.artifacts import Artifacts


def new_process() -> None:
    """What git said is remembered as long as a process lives."""
    module._git.cache_clear()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A git repository with one commit."""
    (tmp_path / "code.py").write_text("x = 1\n")
    for command in (
        ["init", "-q"],
        ["add", "code.py"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first"],
    ):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    return tmp_path


def test_commit_and_uncommitted_changes(project: Path):
    clean = lineage(Artifacts.at(project), None)
    assert len(clean["mlflow.source.git.commit"]) == 40 and clean["git.dirty"] == "false"
    assert dirty_diff(project) is None
    (project / "code.py").write_text("x = 2\n")
    assert lineage(Artifacts.at(project), None) == clean, "this process runs what it imported"
    new_process()
    assert lineage(Artifacts.at(project), None)["git.dirty"] == "true"
    assert "-x = 1\n+x = 2" in (dirty_diff(project) or "")
    (project / "code.py").write_text("long = 2\n" * (MAX_DIFF // 8))
    new_process()
    assert "characters in all" in (dirty_diff(project) or "")[MAX_DIFF:]


def test_without_git_nothing_is_claimed(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    tags = lineage(Artifacts.at(tmp_path), None)
    assert "git.dirty" not in tags and "mlflow.source.git.commit" not in tags
    assert dirty_diff(tmp_path) is None
    assert tags["version.mlflow"][0].isdigit() and tags["version.python"].startswith("3.")


def test_weights_and_lock_are_named_by_hash(tmp_path: Path):
    artifacts = Artifacts.at(tmp_path)
    (tmp_path / "dvc.lock").write_text("")
    tags = lineage(artifacts, {"sha256": "abc", "origin": "there"})
    assert tags["start.origin"] == "there" and "start.strategy" not in tags
    assert tags["weights.sha256"] == "abc" and tags["dvc.lock.sha256"].startswith("e3b0c442")
    assert dvc_lock(artifacts) == tmp_path / "dvc.lock"
    job = Artifacts.at(tmp_path / "runs/1", shared=tmp_path)  # its lock is not this job's
    assert dvc_lock(job) is None and "dvc.lock.sha256" not in lineage(job, None)


def test_the_data_digest_follows_the_manifest(tmp_path: Path):
    manifest = pytest.importorskip("graftwork.data.manifest")
    import pandas as pd

    artifacts = Artifacts.at(tmp_path)
    artifacts.manifest.parent.mkdir()
    row = {"path": "a", "label": 0, "class": "x", "split": "train", "sha256": "1", "width": 2,
           "height": 2, "verdict": "ok", "group": "", "taken": 0.0}  # fmt: skip
    pd.DataFrame([row]).to_parquet(artifacts.manifest)
    expected = manifest.digest(manifest.read(artifacts.manifest))
    found = lineage(artifacts, None)
    assert found["data.digest"] == expected and found["data.test_digest"] != expected
