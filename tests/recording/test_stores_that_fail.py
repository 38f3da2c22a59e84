"""Stores that are locked, away, broken, or of others; what is said, and what is lost: nothing."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from recorded_runs import client
from tracked_experiment import experiment

from graftwork.cli import doctor
from graftwork.config.errors import UserError
from graftwork.recording.kept_letters import place
from graftwork.recording.opening import open_run
from graftwork.storage.artifacts import Artifacts

PROJECT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("own_environment")


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
    code = "import sys, graftwork.recording.opening; print('mlflow' in sys.modules)"
    env = {**os.environ, "PYTHONPATH": str(PROJECT / "src")}
    said = subprocess.check_output([sys.executable, "-c", code], env=env, text=True)
    assert said.split() == ["False"]
