"""What MLflow is told, in order. A store that is away for a while costs neither rows nor a run.

Files are sent again from where they lay: one that has been replaced since arrives as it is then.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftwork.process.terminal import visible, visible_lines
from graftwork.recording.recorded_rows import RecordedRows

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

PAUSE = 30.0  # seconds without another try after the store did not answer (SQLite waits 20 s)
# MLflow says so where a repetition would fail in the same way.
FINAL = {
    *("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "BAD_REQUEST", "INVALID_STATE"),
    *("PERMISSION_DENIED", "ENDPOINT_NOT_FOUND", "FEATURE_DISABLED"),
}
# JSON: `run_id`, `kind` (a key of KINDS) and what that kind needs; `again`: the run may have these
# metrics.
Letter = dict[str, Any]


class Outbox:
    """Sends letters in order; keeps them while the store does not answer.

    Args:
        client: where they go.
        folder: where letters are left that could not be sent by the end, one file a run.
    """

    def __init__(self, client: MlflowClient, folder: Path) -> None:
        self._client = client
        self._folder = folder
        self._waiting: list[Letter] = []
        self._next_try = 0.0
        self._recorded = RecordedRows(client)

    def post(self, letter: Letter) -> None:
        """Sends, or keeps for later. Never raises on account of the store."""
        self._waiting.append(letter)
        if time.monotonic() >= self._next_try:
            self._send()

    def close(self) -> None:
        """One last try; what is left goes to a file that the next run of the project sends."""
        self._send()
        if not self._waiting:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        name = uuid.uuid4().hex
        partial = self._folder / f"{name}.partial"
        partial.write_text("".join(json.dumps(letter) + "\n" for letter in self._waiting))
        os.replace(partial, self._folder / f"{name}.jsonl")
        log.warning(
            "MLflow did not answer: %d entries are kept in %s and are sent by the next run.",
            len(self._waiting),
            visible(self._folder),
        )
        self._waiting = []

    def send_left_behind(self) -> None:
        """Sends what earlier runs had to leave in the folder."""
        for path in sorted(self._folder.glob("*.jsonl")):
            claimed = path.with_suffix(".sending")
            try:
                os.replace(path, claimed)  # one process takes it, no other
            except FileNotFoundError:
                continue
            other = Outbox(self._client, self._folder)
            other._waiting = _letters(claimed)
            other.close()
            claimed.unlink()

    def _send(self) -> None:
        while self._waiting:
            letter = self._waiting[0]
            try:
                if letter.get("again"):
                    new = self._recorded.new(letter["run_id"], letter["metrics"])
                    letter = {**letter, "metrics": new}
                KINDS[letter["kind"]](self._client, letter)
                self._recorded.sent(letter["run_id"], letter.get("metrics", ()))
            except Exception as error:
                if _may_pass(error):
                    if "metrics" in letter:  # it may have arrived, and the answer got lost
                        self._waiting[0]["again"] = True
                        self._recorded = RecordedRows(self._client)
                    self._next_try = time.monotonic() + PAUSE
                    return
                log.warning("MLflow refused a %s: %s", letter["kind"], visible_lines(error))
            self._waiting.pop(0)
        self._next_try = 0.0


def _letters(path: Path) -> list[Letter]:
    """What was left in a file; a line that is damaged is told and left out."""
    found = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            found.append(json.loads(line))
        except ValueError:
            log.warning("%s: line %d is damaged and is not sent.", visible(path), number)
    return found


def _may_pass(error: Exception) -> bool:
    from mlflow.exceptions import MlflowException

    return isinstance(error, MlflowException | ConnectionError | TimeoutError) and (
        getattr(error, "error_code", "") not in FINAL
    )


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

    log_model(client, letter["run_id"], Path(letter["path"]), base64.b64decode(letter["example"]))


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
