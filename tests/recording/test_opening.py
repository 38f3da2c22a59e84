from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient
from tracked_experiment import experiment

from graftwork.cli import doctor
from graftwork.config.errors import UserError
from graftwork.data import manifest
from graftwork.process.stopping import status_of
from graftwork.recording.kept_letters import place
from graftwork.recording.mlflow_store import PATIENCE
from graftwork.recording.opening import NAME, PARENT, open_run, open_sweep
from graftwork.storage.artifacts import Artifacts

PROJECT = Path(__file__).parents[2]
CANARY = "canary-3f9a"


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    for name in (PARENT, NAME):
        monkeypatch.delenv(name, raising=False)
    for name in (*PATIENCE, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"):
        monkeypatch.setenv(name, os.environ.get(name, "1"))


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory) -> Path:
    """A new database, copied by each test: making one takes a second."""
    artifacts = Artifacts.at(tmp_path_factory.mktemp("store"))
    open_run(experiment(), artifacts).finish()
    with sqlite3.connect(artifacts.mlflow_db) as database:
        database.execute("DELETE FROM experiment_tags")
        database.execute("DELETE FROM runs")
        database.execute("DELETE FROM experiments WHERE name = 'group'")
    return artifacts.mlflow_db


@pytest.fixture
def artifacts(tmp_path: Path, empty_store: Path) -> Artifacts:
    made = Artifacts.at(tmp_path / "a project#1")
    made.root.mkdir()
    made.mlflow_db.write_bytes(empty_store.read_bytes())
    return made


def client(artifacts: Artifacts) -> MlflowClient:
    return MlflowClient(f"sqlite:///{artifacts.mlflow_db}")


def listed(artifacts: Artifacts, run_id: str) -> set[str]:
    return {item.path for item in client(artifacts).list_artifacts(run_id)}


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


def test_a_locked_database_costs_no_rows_and_no_run(artifacts, monkeypatch):
    monkeypatch.setattr("graftwork.recording.outbox.PAUSE", 0.0)
    run = open_run(experiment(), artifacts)
    engine_timeout(monkeypatch)
    other = sqlite3.connect(artifacts.mlflow_db, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    run.log_metrics({"loss": 1.0}, step=0)
    run.log_metrics({"loss": 0.5}, step=1)
    run.finish()
    other.execute("ROLLBACK")
    other.close()
    unsent = place(artifacts, None)
    assert len(list(unsent.iterdir())) == 1
    assert client(artifacts).get_run(run.run_id).info.status == "RUNNING"
    open_run(experiment(), artifacts, resume=False).finish()
    assert len(client(artifacts).get_metric_history(run.run_id, "loss")) == 2
    assert client(artifacts).get_run(run.run_id).info.status == "FINISHED"
    assert not list(unsent.iterdir())


def engine_timeout(monkeypatch) -> None:
    """SQLite gives up after 0.1 s instead of MLflow's 20."""
    import mlflow.store.db.utils as utils
    from sqlalchemy import text

    short = SimpleNamespace(**vars(utils.sqlalchemy.sql))
    short.text = lambda sql: text(sql.replace("busy_timeout = 20000", "busy_timeout = 100"))
    monkeypatch.setattr(utils, "sql", short)


def test_a_server_that_is_away_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(
        UserError, match=r"store http://127.0.0.1:9 cannot.*Connection refused.*uri=null"
    ):
        open_run(experiment(uri="http://127.0.0.1:9"), Artifacts.at(tmp_path))


def test_a_store_that_goes_away_once_a_run_has_begun_costs_nothing(artifacts, monkeypatch, caplog):
    run = open_run(experiment(), artifacts)
    run.finish()

    def away(*_):
        raise UserError("tracking.uri: the store cannot be used")

    with monkeypatch.context() as patched:
        patched.setattr("graftwork.recording.mlflow_store.open_store", away)
        with open_run(experiment(), artifacts) as resumed:
            resumed.log_metrics({"test/top1": 0.5}, step=3)
    assert resumed.run_id == run.run_id and "cannot be used" in caplog.text
    assert "4 entries are kept in" in caplog.text and "doctor --fix" in caplog.text
    (waits,) = doctor._state(artifacts.root, verify=False, fix=False)
    assert not waits.good and "4 entries wait in" in waits.value
    (told,) = doctor._state(artifacts.root, verify=False, fix=True)
    assert told.good and told.name == "told MLflow"
    assert doctor._state(artifacts.root, verify=False, fix=True) == []
    found = client(artifacts).get_run(run.run_id)
    assert found.info.status == "FINISHED" and found.data.metrics == {"test/top1": 0.5}


def test_a_deleted_experiment_is_named(artifacts):
    run = open_run(experiment(), artifacts)
    group = client(artifacts).get_run(run.run_id).info.experiment_id
    client(artifacts).delete_experiment(group)
    with pytest.raises(UserError, match="tracking.experiment: 'group' was deleted"):
        open_run(experiment(), artifacts)


def test_a_broken_database_is_named(tmp_path):
    artifacts = Artifacts.at(tmp_path)
    artifacts.mlflow_db.write_text("not a database, for sure" * 100)
    with pytest.raises(UserError, match="cannot be used: file is not a database.*move it away"):
        open_run(experiment(), artifacts)


def test_other_users_of_the_machine_cannot_read_the_runs(tmp_path):
    artifacts = Artifacts.at(tmp_path)
    with open_run(experiment(), artifacts):
        assert artifacts.mlflow_db.stat().st_mode & 0o777 == 0o600


def test_a_read_only_database_says_so(artifacts):
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def read_only(connection, _):  # rights would not stop root
        connection.execute("PRAGMA query_only=ON")

    event.listen(Engine, "connect", read_only)
    try:
        with pytest.raises(UserError, match="attempt to write a readonly database.*writable"):
            open_run(experiment(), artifacts)
    finally:
        event.remove(Engine, "connect", read_only)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"uri": "http://me:word@host"}, "MLFLOW_TRACKING_PASSWORD"),
        ({"uri": "https://host/x?a=1&password=word"}, "holds a secret.*MLFLOW_TRACKING_TOKEN"),
        ({"uri": "postgresql://host/n?sslkey=word"}, "holds a secret"),
        ({"uri": "./mlruns"}, "not the address"),
        ({"uri": "file:///tmp/x"}, "not the address"),
        ({"experiment": " "}, "empty"),
    ],
)
def test_wrong_settings_are_named(values, words):
    with pytest.raises(UserError, match=words):
        experiment(**values)


@pytest.mark.parametrize(
    "uri", ["http://h:5000", "https://h/x?a=b", "sqlite:////a/b.db", "postgresql://h/n"]
)
def test_right_addresses(uri):
    assert experiment(uri=uri).tracking.uri == uri


def test_six_processes_open_a_new_store_at_once(tmp_path):
    code = """
import os, sys; sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from tracked_experiment import experiment
from graftwork.storage.artifacts import Artifacts
from graftwork.recording.opening import open_run
import mlflow.store.tracking.sqlalchemy_store  # once, before the processes part
def job(number):
    shared = Path(sys.argv[3])
    with open_run(experiment(), Artifacts.at(shared / str(number), shared)) as run:
        for step in range(5):
            run.log_metrics({"a": step}, step)
    os._exit(0)
jobs = [os.fork() or job(number) for number in range(6)]
codes = [os.waitpid(pid, 0)[1] for pid in jobs]
assert codes == [0] * 6, codes
"""
    places = [str(PROJECT / "src"), str(PROJECT / "tests"), str(tmp_path)]
    subprocess.run([sys.executable, "-c", code, *places], check=True, timeout=120)
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        assert database.execute("SELECT count(*) FROM runs").fetchone() == (6,)
        assert database.execute("SELECT count(*) FROM metrics").fetchone() == (30,)
        names = "SELECT count(*) FROM experiments WHERE name = 'group'"
        assert database.execute(names).fetchone() == (1,)
    assert not list(tmp_path.glob("*.partial"))


def test_tracking_settings_import_no_mlflow():
    code = "import sys, graftwork.recording.opening; assert 'mlflow' not in sys.modules"
    env = {**os.environ, "PYTHONPATH": str(PROJECT / "src")}
    subprocess.run([sys.executable, "-c", code], check=True, env=env)
