"""One MLflow run: what is recorded, and under which names."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import os
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from graftwork.config.yaml_text import from_yaml
from graftwork.recorders.base import Recording
from graftwork.recording.kept_letters import place
from graftwork.recording.lineage import dirty_diff, dvc_lock, lineage, start_of
from graftwork.recording.outbox import Outbox
from graftwork.recording.stale_runs import WORKER, mark
from graftwork.recording.tracked_params import (
    MAX_TAG,
    MAX_VALUE,
    flat,
    legal_key,
    nested_public,
    public,
    public_source,
    shortened,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from graftwork.experiment import Experiment
    from graftwork.storage.artifacts import Artifacts


# Environment: the next stage goes on with the run in this process. Without a word of it the run
# says RUNNING, which a later start closes as that of a process that was killed.
GOES_ON = "GRAFTWORK_RUN_GOES_ON"
NOTHING: Mapping[str, str] = {}
MAX_DIGEST = 36  # characters of a data set's digest that MLflow keeps


class Run(Recording):
    """A run, open in MLflow."""

    def __init__(
        self,
        client: MlflowClient | None,
        run_id: str,
        artifacts: Artifacts,
        uri: str | None,
        group: str | None = None,
    ) -> None:
        """Open at `tracking.uri`; without a client what is told waits for the next start.

        Args:
            group: id of MLflow's experiment that it belongs to; None: it will be asked for.
        """
        self.run_id = run_id
        self.group = group
        self._artifacts = artifacts
        self._again = False  # whether an earlier process may have recorded the same numbers
        self._held: dict[str, list] | None = None  # rows that are told together
        self._outbox = Outbox(client, place(artifacts, uri))

    def begin(self, experiment: Experiment) -> None:
        """Params and origin of a new run."""
        params = params_told(experiment, self._artifacts.params)
        tags = lineage(self._artifacts, start_of(experiment, self._artifacts))
        self._post("batch", params=_param_rows(flat(params)), tags=_tag_rows(tags))
        self.log_text(yaml.safe_dump(nested_public(params), sort_keys=False), "params.yaml")
        self._log_dataset(experiment, tags)
        if diff := dirty_diff(self._artifacts.shared):
            self.log_text(public_source(diff), "uncommitted.diff")
        self._log_lock()

    def resume(
        self,
        experiment: Experiment,
        tags: Mapping[str, str] = NOTHING,
        params: Mapping[str, str] = NOTHING,
        metrics: Collection[str] | None = None,
        status: str = "",
    ) -> None:
        """The run is running again. Params cannot change: what differs now is a tag, `now.KEY`; why
        it ended before becomes one, too, `error.before`.

        Args:
            tags: that the run has.
            params: likewise.
            metrics: names of all numbers that it has; None: nobody knows.
            status: that it has.
        """
        self._again = True
        if metrics is not None:
            self._outbox.had(self.run_id, metrics)
        if not (status == "RUNNING" and tags.get(WORKER) == mark()):
            self._post("status", status="RUNNING")
        told = lineage(self._artifacts, start_of(experiment, self._artifacts))
        rows = _param_rows(flat(params_told(experiment, self._artifacts.params)))
        told |= {f"now.{key}": value for key, value in rows if params.get(key, value) != value}
        if error := tags.get("error"):
            told |= {"error": "", "error.before": error}
        told |= {WORKER: mark()}  # the same where a process runs several stages
        if new := {key: value for key, value in told.items() if tags.get(key) != value}:
            self.set_tags(new)
        self._log_lock()

    def go_on(self, name: str, params: Mapping[str, str]) -> None:
        """A sweep's run is running again.

        Args:
            name: what its jobs differ in now.
            params: those that it did not have; known ones cannot change.
        """
        self._post("status", status="RUNNING")
        self.set_tags({"mlflow.runName": name, WORKER: mark()})
        self.log_params(params)

    def _log_lock(self) -> None:
        if lock := dvc_lock(self._artifacts):
            self.log_artifacts(lock)

    def _log_dataset(self, experiment: Experiment, tags: Mapping[str, str]) -> None:
        """Which data, as MLflow's own input: runs are found by it. Nothing before it is listed."""
        if "data.digest" not in tags:
            return
        self._post(
            "dataset",
            name=experiment.dataset.name,
            digest=tags["data.digest"][:MAX_DIGEST],
            source_type="graftwork",
            source=json.dumps({"dataset": experiment.dataset.name}),
            profile=json.dumps({"pictures": int(tags["data.pictures"])}),
        )

    def log_params(self, params: Mapping[str, str]) -> None:
        self._tell(params=_param_rows(params))

    def log_metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Numbers of one step or epoch under names like `val/top1`; those that the run has are not
        recorded a second time.

        An infinite value is recorded as NaN: MLflow would turn it into 1.8e308.
        """
        now = int(time.time() * 1000)
        rows = [
            [legal_key(key), float(value) if math.isfinite(value) else math.nan, now, step]
            for key, value in values.items()
        ]
        self._tell(metrics=rows)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        self._tell(tags=_tag_rows(tags))

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Every call of MLflow is several commits, however little it tells."""
        self._held = held = dict[str, list]()
        try:
            yield
        finally:
            self._held = None
            if held:
                self._tell(**held)

    def _tell(self, **rows: list) -> None:
        if self._held is not None:
            for kind, more in rows.items():
                self._held.setdefault(kind, []).extend(more)
        else:
            self._post("batch", **rows, **({"again": True} if self._again else {}))

    def log_artifacts(self, path: Path, folder: str = "") -> None:
        if path.exists():
            self._post("artifacts", path=str(path.absolute()), folder=folder)

    def log_text(self, text: str, name: str) -> None:
        """A text file made on the spot."""
        self._post("text", text=text, name=name)

    def log_model(self, model: Path, example: bytes) -> None:
        """The model itself, loadable by `mlflow.pyfunc.load_model`; see `Recording`."""
        text = base64.b64encode(example).decode()
        self._post("model", path=str(model.absolute()), example=text, group=self.group)

    def finish(self, status: str = "FINISHED") -> None:
        if not (status == "FINISHED" and GOES_ON in os.environ):
            self._post("status", status=status, time=int(time.time() * 1000))
        self._outbox.close(hurry=status == "KILLED")

    def _post(self, kind: str, **content: Any) -> None:
        self._outbox.post({"kind": kind, "run_id": self.run_id, **content})


def _param_rows(params: Mapping[str, str]) -> list[list[str]]:
    return [[legal_key(k), shortened(public(v), MAX_VALUE)] for k, v in params.items()]


def _tag_rows(tags: Mapping[str, str]) -> list[list[str]]:
    return [[legal_key(k), shortened(public(str(v)), MAX_TAG)] for k, v in tags.items()]


def params_told(experiment: Experiment, path: Path) -> Any:
    """The nested parameters of a run: of params.yaml where it stands, else of the experiment."""
    return from_yaml(path.read_text("utf-8")) if path.is_file() else dataclasses.asdict(experiment)
