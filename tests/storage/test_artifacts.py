from __future__ import annotations

from pathlib import Path

import pytest

from graftwork.storage.artifacts import Artifacts


@pytest.mark.parametrize("copy", ["p/.dvc/tmp/exps/tmp1x", "p/.dvc/tmp/exps/standalone/x/sub"])
def test_what_outlives_an_experiment_of_dvcs_queue_is_the_projects(
    copy: str, tmp_path: Path
) -> None:
    there, project = Artifacts.at(tmp_path / copy), Artifacts.at(tmp_path / "p")
    assert there.project == tmp_path / "p"
    for shared in ("store", "features", "downloads", "mlflow_db", "mlflow_artifacts"):
        assert getattr(there, shared) == getattr(project, shared)
    # DVC looks for these where it runs the stages.
    for own in (there.raw("a"), there.weights("b"), there.manifest, there.metrics, there.run):
        assert own.is_relative_to(tmp_path / copy)


@pytest.mark.parametrize("folder", ["p", ".dvc/tmp", "tmp/exps/x"])
def test_elsewhere_project_and_shared_are_one(folder: str, tmp_path: Path) -> None:
    job = Artifacts.at(tmp_path / folder / "runs" / "x", tmp_path / folder)
    assert job.project == job.shared == tmp_path / folder
