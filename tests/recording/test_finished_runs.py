from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient

from graftwork.config.errors import UserError
from graftwork.recording import finished_runs as module
from graftwork.recording.finished_runs import finished_runs
from graftwork.recording.mlflow_store import open_store
from graftwork.storage.artifacts import Artifacts


def record(client: MlflowClient, group: str, network: str, status: str = "FINISHED") -> str:
    run_id = client.create_run(group).info.run_id
    if network:
        client.log_param(run_id, "model.name", network)
    client.log_metric(run_id, "test/top1", 0.5)
    client.set_tag(run_id, "data.digest", "d")
    client.set_terminated(run_id, status)
    return run_id


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    client = open_store(None, Artifacts.at(folder))
    here, there = (client.create_experiment(name) for name in ("here", "there"))
    for group, network, status in (
        (here, "resnet50", "FINISHED"), (here, "vit_small", "FINISHED"), (here, "x", "FAILED"),
        (here, "", "FINISHED"), (there, "alexnet", "FINISHED"),
    ):  # fmt: skip
        record(client, group, network, status)
    return folder


def networks(*arguments) -> list[str]:
    return sorted(run.params["model.name"] for run in finished_runs(*arguments))


def test_what_ended_well_is_read(root, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 2)  # several pages
    assert networks(root) == ["alexnet", "resnet50", "vit_small"]
    run = finished_runs(root)[-1]
    assert run.metrics == {"test/top1": 0.5} and run.tags["data.digest"] == "d"
    starts = [run.started for run in finished_runs(root)]
    assert starts == sorted(starts, reverse=True)


def test_a_group_and_a_condition_narrow_it(root):
    assert networks(root, "there") == ["alexnet"]
    assert networks(root, None, "params.`model.name` = 'resnet50'") == ["resnet50"]
    assert networks(root, "there", "params.`model.name` = 'resnet50'") == []


def test_mistakes_are_named(root, tmp_path):
    with pytest.raises(UserError, match="--experiment: 'hree' is unknown. Did you mean 'here'"):
        finished_runs(root, "hree")
    with pytest.raises(UserError, match="--filter: 'accuracy is high' is no condition"):
        finished_runs(root, None, "accuracy is high")
    with pytest.raises(UserError, match="no runs are recorded here yet"):
        finished_runs(tmp_path)
    assert not list(tmp_path.iterdir())  # looking makes no store


def test_the_store_of_the_configuration_is_used(root, tmp_path):
    uri = f"sqlite:///{root / 'mlflow.db'}"
    (tmp_path / "params.yaml").write_text(f"tracking: {{uri: '{uri}'}}\n")
    assert networks(tmp_path) == ["alexnet", "resnet50", "vit_small"]
    (tmp_path / "params.yaml").write_text("tracking: [\n")
    with pytest.raises(UserError, match="not valid YAML"):
        finished_runs(tmp_path)
