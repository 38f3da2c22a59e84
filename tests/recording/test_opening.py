from __future__ import annotations

import json

import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient
from recorded_runs import client, listed
from tracked_experiment import experiment

from graftwork.data import manifest
from graftwork.process.stopping import status_of
from graftwork.recording.opening import NAME, PARENT, open_run, open_sweep
from graftwork.recording.stale_runs import WORKER
from graftwork.recording.tracked_run import GOES_ON
from graftwork.storage.artifacts import Artifacts

CANARY = "canary-3f9a"
pytestmark = pytest.mark.usefixtures("own_environment")


def test_a_run_carries_params_metrics_cost_and_lineage(artifacts):
    params = {"seed": 3, "model": {"sizes": [1, 2]}, "long": "x" * 9000, "token": CANARY}
    artifacts.params.write_text(yaml.safe_dump(params))
    artifacts.plots.mkdir(parents=True)
    (artifacts.plots / "curve.svg").write_text("<svg/>")
    with open_run(experiment(), artifacts) as run:
        run.log_metrics({"val/top1": 0.5, "acc@1": 1}, step=0)
        run.log_metrics({"val/top1": 0.75, "diverged": float("inf")}, step=1)
        run.log_cost({"finetune": {"seconds": 12.5}, "parameters": 7, "note": "text"})
        run.log_artifacts(artifacts.plots, "plots")
        run.log_artifacts(artifacts.report)  # absent: nothing to log
    found = client(artifacts).get_run(run.run_id)
    assert found.info.status == "FINISHED" and (
        found.info.run_name == "a-transfer a-model seed=5 a-dataset"
    )
    assert found.data.params["seed"] == "3" and found.data.params["model.sizes"] == "[1, 2]"
    assert len(found.data.params["long"]) == 6000 and "token" not in found.data.params
    history = client(artifacts).get_metric_history(run.run_id, "val/top1")
    assert [(row.step, row.value) for row in history] == [(0, 0.5), (1, 0.75)]
    assert found.data.metrics["cost/finetune/seconds"] == 12.5 and "acc_1" in found.data.metrics
    assert found.data.metrics["diverged"] != found.data.metrics["diverged"]  # NaN, not 1.8e308
    assert found.data.tags["version.mlflow"] and "cost/note" not in found.data.metrics
    assert listed(artifacts, run.run_id) >= {"params.yaml", "plots"}
    assert json.loads(artifacts.run.read_text()) == {"run_id": run.run_id}
    assert found.info.artifact_uri.startswith(artifacts.mlflow_artifacts.as_uri())


def test_a_run_is_found_by_its_data(artifacts):
    rows = [("a" * 64, "train"), ("b" * 64, "test")]
    frame = pd.DataFrame({"sha256": [name for name, _ in rows], "split": [s for _, s in rows]})
    frame = frame.assign(path="/x", label=0, width=1, height=1, verdict="ok", group="", taken=0.0)
    manifest.write(frame.assign(**{"class": "red"}), artifacts.manifest)
    with open_run(experiment(), artifacts) as run:
        pass
    found = client(artifacts).get_run(run.run_id)
    (data,) = (given.dataset for given in found.inputs.dataset_inputs)
    assert (data.name, data.digest) == ("a-dataset", found.data.tags["data.digest"][:36])
    assert json.loads(data.profile) == {"pictures": 2}
    kind = client(artifacts).get_experiment(found.info.experiment_id).tags["mlflow.experimentKind"]
    assert kind == "custom_model_development"
    same = f"dataset.digest = '{data.digest}'"
    (listed,) = client(artifacts).search_runs([found.info.experiment_id], same)
    assert listed.info.run_id == run.run_id


def test_a_secret_reaches_no_file(artifacts, monkeypatch):
    monkeypatch.setenv("SOME_PASSWORD", CANARY)
    params = {"secret_key": CANARY, "dataset": {"url": f"https://me:{CANARY}@host/x"}}
    artifacts.params.write_text(yaml.safe_dump(params))
    with pytest.raises(OSError), open_run(experiment(), artifacts) as run:
        raise OSError(f"https://me:{CANARY}@host/x refused")
    artifacts.params.unlink()
    files = [path for path in artifacts.root.rglob("*") if path.is_file()]
    assert len(files) >= 3 and not [p for p in files if CANARY.encode() in p.read_bytes()]
    tags = client(artifacts).get_run(run.run_id).data.tags
    assert tags["error"] == "OSError: https://host/x refused"


def test_a_run_is_resumed_and_keeps_its_params(artifacts):
    artifacts.params.write_text("seed: 1")
    first = open_run(experiment(), artifacts)
    first.finish()
    artifacts.params.write_text("seed: 2")  # an evaluation that was changed, say
    with open_run(experiment(), artifacts) as second:
        second.log_metrics({"test/top1": 1.0})
        running = client(artifacts).get_run(second.run_id)
    found = client(artifacts).get_run(first.run_id)
    assert second.run_id == first.run_id and running.info.status == "RUNNING"
    assert found.info.status == "FINISHED" and found.data.params == {"seed": "1"}
    assert found.data.metrics == {"test/top1": 1.0}
    assert found.data.tags["now.seed"] == "2", "the param tells of the model"


def test_the_next_stage_of_a_process_tells_only_what_is_new(artifacts, monkeypatch):
    artifacts.params.write_text("seed: 1")
    open_run(experiment(), artifacts).finish()
    told, real = [], MlflowClient.log_batch

    def log_batch(self, run_id, metrics, params, tags):
        told.append({tag.key: tag.value for tag in tags})
        real(self, run_id, metrics, params, tags)

    monkeypatch.setattr(MlflowClient, "log_batch", log_batch)
    open_run(experiment(), artifacts).finish()
    assert not told
    monkeypatch.setattr("graftwork.recording.tracked_run.mark", lambda: "another process")
    open_run(experiment(), artifacts).finish()
    assert told == [{WORKER: "another process"}]


def test_a_run_that_goes_on_in_its_process_ends_once(artifacts, monkeypatch):
    told, real = [], MlflowClient.update_run
    monkeypatch.setattr(
        MlflowClient, "update_run", lambda *args, **how: (told.append(how), real(*args, **how))
    )
    with monkeypatch.context() as within:
        within.setenv(GOES_ON, "yes")
        with open_run(experiment(), artifacts) as first:
            pass
        assert client(artifacts).get_run(first.run_id).info.status == "RUNNING"
    with open_run(experiment(), artifacts) as second:
        assert second.run_id == first.run_id and not told
    assert client(artifacts).get_run(first.run_id).info.status == "FINISHED"
    monkeypatch.setenv(GOES_ON, "yes")
    with pytest.raises(OSError), open_run(experiment(), artifacts):
        raise OSError("the disk is full")
    assert client(artifacts).get_run(first.run_id).info.status == "FAILED"
    assert told == [{"status": "RUNNING"}], "it had ended in between"


@pytest.mark.parametrize("resumed", [False, True])
def test_what_is_told_at_once_is_one_call(artifacts, monkeypatch, resumed):
    artifacts.params.write_text("seed: 1")
    if resumed:
        open_run(experiment(), artifacts).finish()
    calls = []
    with pytest.raises(OSError), open_run(experiment(), artifacts) as run:
        real = MlflowClient.log_batch
        monkeypatch.setattr(
            MlflowClient, "log_batch", lambda self, *rows: (calls.append(rows), real(self, *rows))
        )
        with run.at_once():
            run.set_tags({"a": "1"})
            run.log_metrics({"test/top1": 1.0}, step=3)
            run.log_params({"later": "2"})
            run.log_cost({"seconds": 2})
            assert not calls
            raise OSError("the disk is full")
    found = client(artifacts).get_run(run.run_id).data
    assert found.metrics == {"test/top1": 1.0, "cost/seconds": 2.0} and found.tags["a"] == "1"
    assert found.params["later"] == "2" and found.tags["error"] == "OSError: the disk is full"
    assert len(calls) == 2, "what was told, and how it ended"
    history = client(artifacts).get_metric_history(run.run_id, "test/top1")
    assert [(row.step, row.value) for row in history] == [(3, 1.0)]


def test_a_run_that_goes_on_after_an_error_says_so(artifacts):
    artifacts.params.write_text("trainer: {on_divergence: stop}")
    with pytest.raises(OSError), open_run(experiment(), artifacts) as first:
        raise OSError("training diverged")
    artifacts.params.write_text("trainer: {on_divergence: skip}")
    with open_run(experiment(), artifacts):
        pass
    found = client(artifacts).get_run(first.run_id)
    assert found.info.status == "FINISHED" and found.data.tags["error"] == ""
    assert found.data.tags["error.before"] == "OSError: training diverged"
    assert found.data.params["trainer.on_divergence"] == "stop"
    assert found.data.tags["now.trainer.on_divergence"] == "skip"


def test_resume_false_begins_anew(artifacts):
    first = open_run(experiment(), artifacts)
    second = open_run(experiment(), artifacts, resume=False)
    assert second.run_id != first.run_id
    assert json.loads(artifacts.run.read_text()) == {"run_id": second.run_id}


@pytest.mark.parametrize(
    "text", ['{"run_id": "0123456789abcdef"}', '{"run_id": "../x"}', "{", "[]"]
)
def test_a_foreign_run_json_is_no_obstacle(artifacts, text):
    artifacts.run.write_text(text)
    run = open_run(experiment(), artifacts)
    assert client(artifacts).get_run(run.run_id).info.run_id == run.run_id
    assert artifacts.run.read_text() == text  # the fine-tuning stage's file, watched by DVC


def test_a_deleted_run_is_not_resumed(artifacts):
    first = open_run(experiment(), artifacts)
    client(artifacts).delete_run(first.run_id)
    assert open_run(experiment(), artifacts).run_id != first.run_id


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("x"), "FAILED"),
        (KeyboardInterrupt(), "KILLED"),
        (SystemExit(143), "KILLED"),
        (SystemExit(129), "KILLED"),
        (SystemExit(), "KILLED"),
        (SystemExit(1), "FAILED"),
        (None, "FINISHED"),
    ],
)
def test_statuses(error, status):
    assert status_of(error) == status


def test_a_killed_run_says_so(artifacts):
    with pytest.raises(KeyboardInterrupt), open_run(experiment(), artifacts) as run:
        raise KeyboardInterrupt
    assert client(artifacts).get_run(run.run_id).info.status == "KILLED"


def test_a_sweep_is_the_parent_of_its_jobs(artifacts, monkeypatch):
    sweep = Artifacts.at(artifacts.root / "runs/1_sweep", shared=artifacts.root)
    swept = {"model": ["a", "b"]}
    parent = open_sweep(experiment().tracking, sweep, "model=a,b", swept)
    monkeypatch.setenv(PARENT, parent.run_id)
    monkeypatch.setenv(NAME, "../../etc/x")
    job = Artifacts.at(sweep.root / "0", shared=artifacts.root)
    child = open_run(experiment(), job)
    child.log_text("x", "note.txt")
    parent.finish()
    found = client(artifacts).get_run(child.run_id)
    assert found.data.tags["mlflow.parentRunId"] == parent.run_id
    assert found.info.run_name == "../../etc/x" and "etc" not in found.info.artifact_uri
    assert client(artifacts).get_run(parent.run_id).data.params == {"model": "a, b"}
    assert json.loads(sweep.run.read_text()) == {"run_id": parent.run_id}
