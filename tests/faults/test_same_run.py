"""A stage that is cut and started again ends in the same MLflow run, with each row once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cut_trainings import Cut
from mlflow import MlflowClient
from tiny_experiment import tiny_experiment
from tiny_transfer import draw_photos, save_weights, transfer_params

from graftwork.process.stopping import status_of
from graftwork.training.graft_module import GraftModule
from pipelines import finetune


def test_one_run_and_each_row_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_photos(tmp_path / "photos")
    save_weights(tmp_path / "weights.pth")
    settings = ("selection=random", "transfer.epochs=2", "trainer.checkpoint_steps=1")
    values = transfer_params(tmp_path / "photos", tmp_path / "weights.pth", *settings)
    experiment, artifacts = tiny_experiment(values, tmp_path / "project")
    real, steps = GraftModule.training_step, []

    def cut(module: GraftModule, *batch: Any) -> Any:
        steps.append(module.global_step)
        if len(steps) == 5:  # of three an epoch
            raise Cut
        return real(module, *batch)

    monkeypatch.setattr(GraftModule, "training_step", cut)
    with pytest.raises(Cut) as ended:
        finetune.run(experiment, artifacts)
    run_id = json.loads(artifacts.run.read_text())["run_id"]
    client = MlflowClient(f"sqlite:///{artifacts.mlflow_db}")
    assert client.get_run(run_id).info.status == status_of(ended.value) == "KILLED"
    artifacts.run.unlink()  # as DVC does before it runs a stage again
    finetune.run(experiment, artifacts)
    assert json.loads(artifacts.run.read_text())["run_id"] == run_id
    assert steps[4] == 4 == steps[5]  # on from there
    found = client.get_run(run_id)
    assert found.info.status == "FINISHED"
    (group,) = client.search_experiments(filter_string="name != 'Default'")
    assert len(client.search_runs([group.experiment_id])) == 1
    for key in ("train/loss", "val/loss", "probe/cv_top1"):
        told = [metric.step for metric in client.get_metric_history(run_id, key)]
        assert told == sorted(set(told)) and told
    assert [m.step for m in client.get_metric_history(run_id, "train/loss")] == [1, 2, 3, 4]
    lines = artifacts.history.read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["epoch", "0", "1", "2", "3", "4"]
    finetune.forget(experiment, artifacts)
    assert not list(artifacts.training.iterdir())
