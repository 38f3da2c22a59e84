"""One MLflow run: what is recorded, and under which names."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from signal import SIGINT
from types import TracebackType
from typing import TYPE_CHECKING, Any

import yaml

from graftwork.process.stopping import CODES
from graftwork.recording.lineage import dirty_diff, dvc_lock, lineage
from graftwork.recording.outbox import Outbox
from graftwork.recording.tracked_params import (
    MAX_TAG,
    MAX_VALUE,
    flat,
    legal_key,
    nested_public,
    public,
    shortened,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from graftwork.experiment import Experiment
    from graftwork.storage.artifacts import Artifacts


MAX_DIGEST = 36  # characters of a data set's digest that MLflow keeps


class Run:
    """An open run. As a context it ends as FINISHED, FAILED or KILLED by itself."""

    def __init__(self, client: MlflowClient, run_id: str, artifacts: Artifacts) -> None:
        self.run_id = run_id
        self._artifacts = artifacts
        self._outbox = Outbox(client, artifacts.mlflow_artifacts / ".unsent")
        self._outbox.send_left_behind()

    def begin(self, experiment: Experiment) -> None:
        """Params and origin of a new run."""
        params = _params(experiment, self._artifacts.params)
        tags = lineage(self._artifacts, experiment.model.name)
        self._post("batch", params=_param_rows(flat(params)), tags=_tag_rows(tags))
        self.log_text(yaml.safe_dump(nested_public(params), sort_keys=False), "params.yaml")
        self._log_dataset(experiment, tags)
        if diff := dirty_diff(self._artifacts.shared):
            self.log_text(public(diff), "uncommitted.diff")
        self._log_lock()

    def resume(self, experiment: Experiment, known: Mapping[str, str]) -> None:
        """The run is running again. Params cannot change: they stay true of the model.

        Args:
            known: tags that the run has.
        """
        self._post("status", status="RUNNING")
        tags = lineage(self._artifacts, experiment.model.name)
        if new := {key: value for key, value in tags.items() if known.get(key) != value}:
            self.set_tags(new)
        self._log_lock()

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
        """Settings, as text, each once in a run's life."""
        self._post("batch", params=_param_rows(params))

    def log_metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Numbers of one step or epoch under names like `val/top1`.

        An infinite value is recorded as NaN: MLflow would turn it into 1.8e308.
        """
        now = int(time.time() * 1000)
        rows = [
            [legal_key(key), float(value) if math.isfinite(value) else math.nan, now, step]
            for key, value in values.items()
        ]
        self._post("batch", metrics=rows)

    def log_cost(self, cost: Mapping[str, float]) -> None:
        """Numbers under `cost/`: seconds, images/s, MiB, parameters; nested names by slashes."""
        self.log_metrics(dict(joined(cost, "cost")))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Facts about the run, as text."""
        self._post("batch", tags=_tag_rows(tags))

    def log_artifacts(self, path: Path, folder: str = "") -> None:
        """A file, or what a folder holds, under `folder` of the run's artifacts."""
        if path.exists():
            self._post("artifacts", path=str(path.absolute()), folder=folder)

    def log_text(self, text: str, name: str) -> None:
        """A text file made on the spot."""
        self._post("text", text=text, name=name)

    def log_model(self, model: Path, example: bytes) -> None:
        """The model itself, loadable by `mlflow.pyfunc.load_model`.

        Args:
            model: the model folder (weights and model.json).
            example: one encoded image (the bytes of a JPEG, say), kept as the input example.
        """
        text = base64.b64encode(example).decode()
        self._post("model", path=str(model.absolute()), example=text)

    def finish(self, status: str = "FINISHED") -> None:
        """Ends the run: FINISHED, FAILED or KILLED."""
        self._post("status", status=status, time=int(time.time() * 1000))
        self._outbox.close()

    def close(self, error: BaseException | None) -> None:
        """Ends the run as this exception says."""
        if error is not None:
            self.set_tags({"error": f"{type(error).__name__}: {error}"})
        self.finish(status_of(error))

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(error)

    def _post(self, kind: str, **content: Any) -> None:
        self._outbox.post({"kind": kind, "run_id": self.run_id, **content})


def _param_rows(params: Mapping[str, str]) -> list[list[str]]:
    return [[legal_key(k), shortened(public(v), MAX_VALUE)] for k, v in params.items()]


def _tag_rows(tags: Mapping[str, str]) -> list[list[str]]:
    return [[legal_key(k), shortened(public(str(v)), MAX_TAG)] for k, v in tags.items()]


def status_of(error: BaseException | None) -> str:
    """MLflow's word for how a run ended: signals, such as Ctrl-C, are no failures."""
    if error is None:
        return "FINISHED"
    if isinstance(error, SystemExit):  # Lightning's own for SIGTERM carries no code
        signals = (None, 128 + SIGINT, *CODES)
        return "KILLED" if error.code in signals else "FAILED"
    return "FAILED" if isinstance(error, Exception) else "KILLED"


def _params(experiment: Experiment, path: Path) -> Any:
    return yaml.safe_load(path.read_text()) if path.is_file() else dataclasses.asdict(experiment)


def joined(values: Mapping[str, Any], path: str) -> list[tuple[str, float]]:
    """Nested numbers as `("cost/seconds/finetune", 130.0)`."""
    rows: list[tuple[str, float]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            rows += joined(value, f"{path}/{key}")
        elif isinstance(value, int | float):
            rows.append((f"{path}/{key}", float(value)))
    return rows
