from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from forked_commands import ForkedCommands
from stand_in_stages import SMALL, client, only

from graftwork.experiment import Experiment
from pipelines import experiment

PROJECT = Path(__file__).parents[2]


def test_one_experiment_has_a_folder_of_its_own(run):
    assert run(*SMALL, "seed=3") == 0
    job = only("runs/*/*_tiny_cnn_from_scratch")
    params = yaml.safe_load((job / "params.yaml").read_text())
    assert params["seed"] == 3 and "hydra" not in params
    assert Experiment.from_file(job / "params.yaml").seed == 3
    assert {path.stem for path in (job / "costs").iterdir()} == {"download", "finetune", "evaluate"}
    assert (Path.cwd() / "data/raw/x").is_dir() and not (job / "data/raw").exists()  # shared
    found = client().get_run(json.loads((job / "run.json").read_text())["run_id"])
    assert found.info.status == "FINISHED" and found.data.params["model.name"] == "tiny_cnn"
    assert "mlflow.parentRunId" not in found.data.tags


def test_params_are_what_dvc_would_have_written(run, tmp_path):
    from pipelines import params

    run(*SMALL)
    params.write(tmp_path / "dvcs.yaml", SMALL)
    assert only("runs/*/*/params.yaml").read_bytes() == (tmp_path / "dvcs.yaml").read_bytes()


@pytest.mark.parametrize("project", ["dvc.yaml", "conf", None])
def test_a_folder_that_is_no_project_is_named(run, capsys, project):
    if project:
        Path(project).touch() if "." in project else Path(project).mkdir()
    assert run(*SMALL, "--cfg", "job") == 0
    assert not capsys.readouterr().err
    assert run(*SMALL) == 0
    said = capsys.readouterr().err
    assert said.startswith("" if project else f"Note: {Path.cwd()} is no project")
    assert said.count("is no project") == (project is None)


def test_the_stages_are_those_of_dvc():
    names = [run.__module__.rpartition(".")[2] for run in experiment.stages()]
    assert names == list(yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"])


def test_help_and_composition_still_work(trainings: ForkedCommands) -> None:
    for arguments, words in ((["--help"], "linear_probe"), (["--cfg", "job", *SMALL], "tiny_cnn")):
        done = trainings.run(["pipelines.experiment", *arguments], PROJECT)
        assert done.returncode == 0 and words in done.stdout, done.stderr


def test_peak_memory_is_a_jobs_own():
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("Linux only")
    import resource

    big = bytearray(200 * 2**20)
    big[:] = b"x" * len(big)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    del big
    experiment._forget_peak()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before - 100 * 2**10
