"""What MLflow can be told: a letter of each kind, and how it is delivered.

Files are sent from where they lie: one that has been replaced since arrives as it is then.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

# JSON: `run_id`, `kind` (a key of KINDS) and what that kind needs; `again`: the run may have these
# metrics.
Letter = dict[str, Any]


def deliver(client: MlflowClient, letter: Letter) -> None:
    """Raises whatever the client raises."""
    KINDS[letter["kind"]](client, letter)


def _batch(client: MlflowClient, letter: Letter) -> None:
    """Metrics `[key, value, timestamp in ms, step]`, params and tags `[key, value]`."""
    from mlflow.entities import Metric, Param, RunTag

    metrics = [Metric(*row) for row in letter.get("metrics", ())]
    params = [Param(*row) for row in letter.get("params", ())]
    tags = [RunTag(*row) for row in letter.get("tags", ())]
    while metrics or params or tags:  # MLflow's limits of one call: 1000, 100, 100
        client.log_batch(letter["run_id"], metrics[:800], params[:100], tags[:100])
        metrics, params, tags = metrics[800:], params[100:], tags[100:]


def _dataset(client: MlflowClient, letter: Letter) -> None:
    """The data set as an input of the run, by which MLflow finds runs."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    said = {key: letter[key] for key in ("name", "digest", "source_type", "source", "profile")}
    context = [InputTag("mlflow.data.context", "training and test")]
    client.log_inputs(letter["run_id"], datasets=[DatasetInput(Dataset(**said), context)])


def _artifacts(client: MlflowClient, letter: Letter) -> None:
    path = Path(letter["path"])
    send = client.log_artifacts if path.is_dir() else client.log_artifact
    send(letter["run_id"], str(path), letter["folder"] or None)


def _text(client: MlflowClient, letter: Letter) -> None:
    client.log_text(letter["run_id"], letter["text"], letter["name"])


def _model(client: MlflowClient, letter: Letter) -> None:
    from graftwork.recording.mlflow_model import log_model

    example = base64.b64decode(letter["example"])
    log_model(client, letter["run_id"], Path(letter["path"]), example, letter.get("group"))


def _status(client: MlflowClient, letter: Letter) -> None:
    if letter["status"] == "RUNNING":
        client.update_run(letter["run_id"], status="RUNNING")
    else:
        client.set_terminated(letter["run_id"], letter["status"], letter["time"])


KINDS: dict[str, Callable[[MlflowClient, Letter], None]] = {
    "batch": _batch,
    "dataset": _dataset,
    "artifacts": _artifacts,
    "text": _text,
    "model": _model,
    "status": _status,
}
