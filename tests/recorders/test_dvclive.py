from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from graftwork.config.errors import UserError
from graftwork.recorders.base import Place
from graftwork.recorders.dvclive import DvcLive

PROJECT = Path(__file__).parents[2]
RECORDER = DvcLive("dvclive")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from dvc.repo import Repo

    git = ["git", "-c", "user.name=x", "-c", "user.email=x@x"]
    subprocess.run([*git, "init", "-q"], cwd=tmp_path, check=True)
    Repo.init(str(tmp_path)).close()
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    subprocess.run([*git, "add", "."], cwd=tmp_path, check=True)
    subprocess.run([*git, "commit", "-qm", "x"], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def git(project: Path, *words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=project, check=True, capture_output=True, text=True
    ).stdout


def place(project: Path) -> Place:
    return Place("name", "0123456789abcdef", {}, project, project, resumed=False)


def test_dvc_reads_what_it_writes_and_git_is_left_alone(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dvc.repo import Repo

    # As a stage of `dvc exp run` sees it, where DVCLive itself would add its files to git.
    monkeypatch.setenv("DVC_ROOT", str(project))
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", git(project, "rev-parse", "HEAD").strip())
    refs = git(project, "for-each-ref")
    run = RECORDER.open(place(project))
    for epoch in (1, 2):
        run.log_metrics({"val/top1": epoch / 4, "val/loss": float("nan")}, epoch)
    run.finish()
    later = RECORDER.open(replace(place(project), resumed=True))
    later.log_metrics({"val/top1": 0.5, "val/loss": float("nan")}, 2)  # told again, after a kill
    later.log_metrics({"test/top1": 0.75}, 2)
    later.finish()
    curve = (project / "dvclive/plots/metrics/val/top1.tsv").read_text()
    assert curve.split() == ["step", "top1", "1", "0.25", "2", "0.5"]
    with Repo(str(project)) as repo:
        (found,) = repo.metrics.show()[""]["data"].values()
    expected = {"val": {"top1": 0.5, "loss": "nan"}, "test": {"top1": 0.75}, "step": 2}
    assert found["data"] == json.loads(json.dumps(expected))
    assert yaml.safe_load((project / "dvc.yaml").read_text()) == {"stages": {}}
    assert git(project, "status", "--porcelain") == "?? dvclive/\n"
    assert git(project, "for-each-ref") == refs


def test_a_new_run_begins_anew(project: Path) -> None:
    for value in (0.5, 0.25):
        run = RECORDER.open(place(project))
        run.log_metrics({"val/top1": value}, 1)
        run.finish()
    assert "0.5" not in (project / "dvclive/plots/metrics/val/top1.tsv").read_text()


def test_where_dvc_is_not_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "-q")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no project of DVC"):
        RECORDER.open(place(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [".git"]


def test_dvc_would_not_see_it_where_git_ignored_it() -> None:
    done = subprocess.run(["git", "check-ignore", "-q", "dvclive/dvc.yaml"], cwd=PROJECT)
    assert done.returncode == 1
