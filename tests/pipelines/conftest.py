from __future__ import annotations

import logging
import shutil
import sys
from pathlib import Path

import pytest
from evaluated_job import job, recorded  # noqa: F401 - fixtures
from stand_in_stages import STAGES

from graftwork.storage.artifacts import Artifacts
from pipelines import experiment


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory) -> Path:
    """A new database, copied by each test: making one takes a second."""
    from graftwork.recording.mlflow_store import open_store

    artifacts = Artifacts.at(tmp_path_factory.mktemp("store"))
    open_store(None, artifacts)
    return artifacts.mlflow_db


@pytest.fixture
def run(tmp_path, monkeypatch, empty_store):
    """`run(*arguments)`: the command line in an empty project with stand-ins for the stages."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_store, "mlflow.db")
    monkeypatch.setattr(experiment, "stages", lambda: STAGES)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setenv("COLUMNS", "250")
    handlers = logging.root.handlers[:]

    def command(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["experiment", *arguments])
        try:
            experiment.main()
        except SystemExit as ended:
            return int(ended.code or 0)
        finally:  # Hydra sets up logging for a process that ends after it
            for handler in {*logging.root.handlers} - {*handlers}:
                handler.close()
            logging.root.handlers = handlers[:]
        return 0

    return command
