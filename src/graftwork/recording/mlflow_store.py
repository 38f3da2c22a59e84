"""Opening MLflow's store: quickly, once, and whole even if six processes come at the same time."""

from __future__ import annotations

import logging
import os
import sqlite3
import uuid
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from filelock import FileLock

from graftwork.config.errors import UserError
from graftwork.recording.reachable import check_answers, is_busy, store_uri, unavailable
from graftwork.storage.artifacts import Artifacts

if TYPE_CHECKING:
    from mlflow import MlflowClient

# A server that is away must not hold up training: MLflow's own settings retry for minutes.
KIND = {"mlflow.experimentKind": "custom_model_development"}  # the pages open on trained models
OWNER_ALONE = 0o600  # a shared machine has other users, and runs tell paths and names
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "15"}


def check_recorded(artifacts: Artifacts) -> None:
    """Raises UserError where the project has no store of its own yet."""
    if not artifacts.mlflow_db.is_file():
        raise UserError(
            f"{artifacts.mlflow_db}: no runs are recorded here yet. Run an experiment first, or "
            "name the project's folder with --root."
        )


def open_store(uri: str | None, artifacts: Artifacts) -> MlflowClient:
    """MLflow's client on the store, which is made if it is the project's own and absent.

    Raises:
        UserError: the store cannot be opened.
    """
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from mlflow import MlflowClient  # 1.2 s; `import mlflow` alone is as slow

    _quiet()
    address = store_uri(uri, artifacts)
    check_answers(address)
    if uri is None:
        _make_database(artifacts)
    try:
        _check_opens(address)
        return MlflowClient(address, registry_uri=address)
    except Exception as error:
        raise unavailable(address, error) from error


def experiment_id(client: MlflowClient, name: str, artifacts: Artifacts, uri: str | None) -> str:
    """MLflow's experiment of this name, made where it is absent.

    Raises:
        UserError: the store does not answer, or the experiment was deleted.
    """
    try:
        with FileLock(_lock(artifacts)):
            found = client.get_experiment_by_name(name)
            if found is None:
                # A server knows best where its artifacts go.
                place = artifacts.mlflow_artifacts.as_uri() if uri is None else None
                return client.create_experiment(name, artifact_location=place, tags=KIND)
    except Exception as error:
        raise unavailable(store_uri(uri, artifacts), error) from error
    if found.lifecycle_stage == "deleted":
        raise UserError(
            f"tracking.experiment: '{name}' was deleted in MLflow. Choose another name, or bring "
            f"it back: mlflow experiments restore --experiment-id {found.experiment_id}"
        )
    return found.experiment_id


def _check_opens(address: str) -> None:
    """Raises where a database cannot be opened: MLflow would try ten times, for 104 s."""
    if not urlsplit(address).scheme.startswith(DATABASES):
        return
    from sqlalchemy import create_engine, inspect
    from sqlalchemy.exc import OperationalError

    engine = create_engine(address)
    try:
        inspect(engine).get_table_names()
    except OperationalError as error:
        if not is_busy(error.orig):  # else MLflow waits for it
            raise
    finally:
        engine.dispose()


def _lock(artifacts: Artifacts) -> Path:
    artifacts.project.mkdir(parents=True, exist_ok=True)
    return artifacts.project / ".mlflow.lock"


def _make_database(artifacts: Artifacts) -> None:
    """Makes the tables beside the final place, then renames: the database is whole or absent.

    Several processes that make the tables of one database at once break it for good. Waiting for
    the disk after each of MLflow's fifty migrations takes 6 s; waiting once, at the end, 0.7 s.
    """
    if artifacts.mlflow_db.exists():
        return
    with FileLock(_lock(artifacts)):
        if artifacts.mlflow_db.exists():
            return
        partial = artifacts.mlflow_db.with_name(f"mlflow.db.{uuid.uuid4().hex}.partial")
        try:
            _make_tables(partial, artifacts)
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            partial.chmod(OWNER_ALONE)
            os.replace(partial, artifacts.mlflow_db)
        finally:
            partial.unlink(missing_ok=True)


def _make_tables(path: Path, artifacts: Artifacts) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def without_waiting(connection: Any, _: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous=OFF")

    event.listen(Engine, "connect", without_waiting)
    try:
        store = SqlAlchemyStore(f"sqlite:///{path}", artifacts.mlflow_artifacts.as_uri())
        store._dispose_engine()
    finally:
        event.remove(Engine, "connect", without_waiting)


def _quiet() -> None:
    """No lines about migrations, and no traceback for a database that is only busy."""
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # MLflow 3.17 under SQLAlchemy 2.1: MLflow's own business, on every query.
    warnings.filterwarnings("ignore", "The ``noload`` loader strategy", DeprecationWarning)
