"""The runs that a project's store holds, read back."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from graftwork.config.errors import UserError, unknown
from graftwork.config.yaml_text import from_yaml
from graftwork.recording.mlflow_store import check_recorded, open_store
from graftwork.recording.reachable import store_uri, unavailable
from graftwork.storage.artifacts import Artifacts

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

AT_ONCE = 1000  # runs a page
PARAMS = "params.yaml"  # of a run's artifacts
FINISHED = "attributes.status = 'FINISHED'"


@dataclass(frozen=True)
class FinishedRun:
    """What was recorded of one experiment."""

    run_id: str
    started: int  # ms since 1970
    params: dict[str, str]  # flat: model.name
    metrics: dict[str, float]  # the last value of each: test/top1, cost/parameters
    tags: dict[str, str]


def finished_runs(
    root: Path, experiment: str | None = None, condition: str | None = None
) -> list[FinishedRun]:
    """Every run that ended well, the newest first. A sweep's parent is no run of its own.

    The store is the one that params.yaml of the project names, or SQLite in its folder.

    Args:
        root: the project's folder.
        experiment: MLflow's name of a group of runs; all groups if None.
        condition: in MLflow's language: "params.`model.name` = 'resnet50'".

    Raises:
        UserError: no store, no such group, or a condition that MLflow does not understand.
    """
    client, groups = opened(root)
    if experiment is not None and experiment not in groups:
        raise unknown("--experiment", experiment, groups)
    chosen = [groups[experiment]] if experiment is not None else list(groups.values())
    wanted = f"{FINISHED} and {condition}" if condition else FINISHED
    found = (_read(run) for run in _search(client, chosen, wanted, condition))
    return [run for run in found if "model.name" in run.params]


def recorded_configurations(root: Path) -> Iterator[tuple[Any, dict[str, str]]]:
    """Of every run, however it ended: what its params.yaml holds, None where it cannot be had;
    and its tags. A sweep's parent is no run of its own.

    Raises:
        UserError: there is no store.
    """
    client, groups = opened(root)
    for run in _search(client, list(groups.values()), "", None):
        if "model.name" in run.data.params:
            yield _configuration(client, run.info.artifact_uri), dict(run.data.tags)


def _configuration(client: MlflowClient, place: str) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = artifact(client, place, PARAMS, Path(folder))
        try:
            return path and from_yaml(path.read_text("utf-8"))
        except (ValueError, yaml.YAMLError):
            return None


def artifact(client: MlflowClient, place: str, name: str, folder: Path) -> Path | None:
    """One file of a run, brought to a folder; None where it cannot be had.

    Args:
        place: the run's `artifact_uri`.
    """
    # Not by `client.download_artifacts`, which also looks through the run's models.
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    try:
        artifacts = get_artifact_repository(place, tracking_uri=client.tracking_uri)
        return Path(artifacts.download_artifacts(name, str(folder)))
    except Exception:  # whatever a store of artifacts may raise for what it does not have
        return None


def opened(root: Path) -> tuple[MlflowClient, dict[str, str]]:
    """The project's store, and the ids of its groups of runs by name.

    Raises:
        UserError: there is no store, or it cannot be used.
    """
    artifacts = Artifacts.at(root)
    uri = recorded_at(artifacts.params)
    if uri is None:
        check_recorded(artifacts)
    client = open_store(uri, artifacts)
    try:
        groups = {found.name: found.experiment_id for found in client.search_experiments()}
    except Exception as error:
        raise unavailable(store_uri(uri, artifacts), error) from error
    return client, groups


def _search(
    client: MlflowClient, groups: list[str], wanted: str, condition: str | None
) -> list[Run]:
    """Runs as wanted; `condition` is what of that the user wrote."""
    from mlflow.exceptions import MlflowException

    runs: list[Run] = []
    token = None
    while True:
        try:
            page = client.search_runs(groups, wanted, max_results=AT_ONCE, page_token=token)
        except MlflowException as error:
            if condition is None or error.error_code != "INVALID_PARAMETER_VALUE":
                raise
            raise UserError(
                f"--filter: '{condition}' is no condition that MLflow understands: "
                f"{error.message}. Such as: params.`model.name` = 'resnet50'"
            ) from error
        runs += page
        token = page.token
        if not token:
            return sorted(runs, key=lambda run: -run.info.start_time)


def _read(run: Run) -> FinishedRun:
    data = run.data
    return FinishedRun(
        run.info.run_id, run.info.start_time, dict(data.params), dict(data.metrics), dict(data.tags)
    )


def recorded_at(path: Path) -> str | None:
    """tracking.uri of params.yaml; None where there is neither."""
    if not path.is_file():
        return None
    try:
        params = from_yaml(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {error}") from error
    tracking = params.get("tracking") if isinstance(params, Mapping) else None
    return tracking.get("uri") if isinstance(tracking, Mapping) else None
