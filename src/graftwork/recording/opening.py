"""Opening a run: MLflow's, new or resumed, and further recorders beside it."""

from __future__ import annotations

import getpass
import json
import logging
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graftwork.process.terminal import visible_lines
from graftwork.recorders.base import Place, Recording
from graftwork.recording.stale_runs import WORKER, close_stale, mark
from graftwork.recording.together import Together
from graftwork.recording.tracked_params import flat, public, shortened
from graftwork.recording.tracked_run import Run, params_told

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as RecordedRun

    from graftwork.experiment import Experiment
    from graftwork.settings.tracking import Tracking
    from graftwork.storage.artifacts import Artifacts

log = logging.getLogger(__name__)

PARENT = "GRAFTWORK_PARENT_RUN"  # environment: id of the sweep's run
NAME = "GRAFTWORK_RUN_NAME"  # environment: what tells this run from others of its sweep


def open_run(experiment: Experiment, artifacts: Artifacts, *, resume: bool = True) -> Recording:
    """Opens this experiment's run at every recorder.

    In MLflow it is the one named in run.json, or a new one.

    A run.json of another store is no obstacle: a new run is made then. Its name is written to
    run.json unless there is one (`dvc` watches that file as the fine-tuning stage's own).

    Args:
        experiment: for the store, the names and, without params.yaml, the params.
        artifacts: the experiment's tree; `run.json` and `params.yaml` of its root.
        resume: False begins a new run whatever run.json says.

    Raises:
        UserError: MLflow's store cannot be opened, and run.json names no run. A store that fails
            once a run has begun never raises, nor does any other recorder.
    """
    run, resumed = _open_mlflow(experiment, artifacts, resume)
    if not (recorders := experiment.tracking.recorders):
        return run
    place = Place(
        name=_name(experiment),
        run_id=run.run_id,
        params=flat(params_told(experiment, artifacts.params)),
        root=artifacts.root,
        project=artifacts.project,
        resumed=resumed,
    )
    return Together(run, recorders, place)


def _open_mlflow(experiment: Experiment, artifacts: Artifacts, resume: bool) -> tuple[Run, bool]:
    """The run, and whether an earlier stage began it."""
    from graftwork.recording.mlflow_store import open_store
    from graftwork.recording.reachable import store_uri, unavailable

    tracking, client = experiment.tracking, None
    noted = noted_run(artifacts) if resume else None
    known: dict[str, Any] | None = {}  # what the run has: see Run.resume
    group = None
    try:
        client = open_store(tracking.uri, artifacts)
        found = _recorded(client, noted)
        if found is None:
            known = None
        else:
            data, group = found.data, found.info.experiment_id
            known = {"tags": data.tags, "params": data.params, "metrics": data.metrics}
            known["status"] = found.info.status
    except Exception as error:
        if noted is None:
            raise unavailable(store_uri(tracking.uri, artifacts), error) from error
        client = None  # the run has begun: a store that has gone away since costs nothing
        log.warning("%s", visible_lines(unavailable(store_uri(tracking.uri, artifacts), error)))
    if noted is not None and known is not None:
        run = Run(client, noted, artifacts, tracking.uri, group)
        run.resume(experiment, **known)
        return run, True
    assert client is not None
    run = _new(client, tracking, artifacts, _name(experiment))
    if not (resume and artifacts.run.is_file()):
        _write_run(run, artifacts)
    run.begin(experiment)
    return run, False


def _name(experiment: Experiment) -> str:
    """What differs most first: pages cut long names, and runs that begin alike look the same."""
    if name := os.environ.get(NAME):
        return name
    transfer, model = experiment.transfer.name, experiment.model.name
    return f"{transfer} {model} seed={experiment.seed} {experiment.dataset.name}"


def open_sweep(
    tracking: Tracking, artifacts: Artifacts, name: str, swept: Mapping[str, Sequence[str]]
) -> Run:
    """Opens the run that is the parent of a sweep's runs: the one named in run.json, which a sweep
    that is started again goes on with, or a new one, whose id goes there.

    Args:
        tracking: the store.
        artifacts: the tree of the sweep's folder.
        name: shown in MLflow's pages.
        swept: the choices of every key that differs among the jobs.

    Raises:
        UserError: the store cannot be opened.
    """
    from graftwork.recording.mlflow_store import open_store
    from graftwork.recording.reachable import store_uri, unavailable

    client = open_store(tracking.uri, artifacts)
    try:
        known = _recorded(client, noted_run(artifacts))
    except Exception as error:
        raise unavailable(store_uri(tracking.uri, artifacts), error) from error
    params = {key: ", ".join(choices) for key, choices in swept.items()}
    if known is not None:
        run = Run(client, known.info.run_id, artifacts, tracking.uri)
        run.go_on(name, {key: params[key] for key in params if key not in known.data.params})
        return run
    run = _new(client, tracking, artifacts, name)
    _write_run(run, artifacts)
    run.log_params(params)
    return run


def _new(client: MlflowClient, tracking: Tracking, artifacts: Artifacts, name: str) -> Run:
    from graftwork.recording.mlflow_store import experiment_id
    from graftwork.recording.reachable import store_uri, unavailable

    group = experiment_id(client, tracking.experiment, artifacts, tracking.uri)
    if PARENT not in os.environ:  # who began the sweep has looked
        close_stale(client, group)
    try:
        run_id = client.create_run(group, tags=_origin(name)).info.run_id
    except Exception as error:
        raise unavailable(store_uri(tracking.uri, artifacts), error) from error
    return Run(client, run_id, artifacts, tracking.uri, group)


def _write_run(run: Run, artifacts: Artifacts) -> None:
    artifacts.run.parent.mkdir(parents=True, exist_ok=True)
    artifacts.run.write_text(json.dumps({"run_id": run.run_id}) + "\n")


def noted_run(artifacts: Artifacts) -> str | None:
    """The id in run.json, if there is one."""
    try:
        noted = json.loads(artifacts.run.read_text())["run_id"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return noted if isinstance(noted, str) else None


def _recorded(client: MlflowClient, run_id: str | None) -> RecordedRun | None:
    """The run, if the store knows it."""
    from mlflow.exceptions import MlflowException

    if run_id is None:
        return None
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise
    return run if run.info.lifecycle_stage == "active" else None


def _origin(name: str) -> dict[str, str]:
    """Tags that MLflow's pages know by name."""
    tags = {
        "mlflow.runName": shortened(public(name), 250),
        "mlflow.source.name": "graftwork",
        WORKER: mark(),
    }
    if parent := os.environ.get(PARENT):
        tags["mlflow.parentRunId"] = parent
    try:
        tags["mlflow.user"] = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        tags["mlflow.user"] = "unknown"
    return tags
