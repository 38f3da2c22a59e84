from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest
from tracked_experiment import experiment

from graftwork.recording.mlflow_store import PATIENCE
from graftwork.recording.opening import NAME, PARENT, open_run
from graftwork.storage.artifacts import Artifacts


@pytest.fixture
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
