"""What MLflow is told, in order. A store that is away for a while costs neither rows nor a run."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from graftwork.process.terminal import visible, visible_lines
from graftwork.recording.kept_letters import KeptLetters
from graftwork.recording.letters import Letter, deliver
from graftwork.recording.recorded_rows import RecordedRows

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

PAUSE = 30.0  # seconds at least without another try after the store did not answer
SHARE = 20  # a try that fails may take its time: the pause is this many times as long
# MLflow says so where a repetition would fail in the same way.
FINAL = {
    *("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "BAD_REQUEST", "INVALID_STATE"),
    *("PERMISSION_DENIED", "ENDPOINT_NOT_FOUND", "FEATURE_DISABLED"),
}


class Outbox:
    """Sends letters in order; keeps them while the store does not answer.

    A letter is in a file before it is sent, and until all have arrived. What processes left that
    have ended is sent before everything else.

    Args:
        client: where they go; None: the store cannot be opened, and all of them are kept.
        folder: where letters lie that have not arrived; see `kept_letters.place`.
    """

    def __init__(self, client: MlflowClient | None, folder: Path) -> None:
        self._client = client
        self._kept = KeptLetters(folder)
        self._next_try = 0.0
        self._recorded = RecordedRows(client) if client is not None else None
        self._waiting = self._kept.take_over() if client is not None else []
        self._send()

    def post(self, letter: Letter) -> None:
        """Sends, or keeps for later. Never raises on account of the store."""
        self._kept.add([letter])
        self._waiting.append(letter)
        if time.monotonic() >= self._next_try:
            self._send()

    def had(self, run_id: str, keys: Collection[str]) -> None:
        """Told of all numbers' names that a run has: none of the others needs to be asked for."""
        if self._recorded is not None:
            self._recorded.had(run_id, keys)

    def close(self, *, hurry: bool = False) -> int:
        """One last try; what is left lies in a file that the next run of the project sends.

        Args:
            hurry: no try where the last one failed, which may have to wait for its end.

        Returns:
            how many letters are left.
        """
        if not (hurry and self._next_try):
            self._send()
        self._kept.leave(self._waiting)
        left, self._waiting = len(self._waiting), []
        if left:
            log.warning(
                "MLflow did not answer: %d entries are kept in %s. The next run of the project "
                "sends them, and so does `graftwork doctor --fix`.",
                left,
                visible(self._kept.folder),
            )
        return left

    def _send(self) -> None:
        if self._client is None or self._recorded is None:
            return
        while self._waiting:
            letter, begun = self._waiting[0], time.monotonic()
            try:
                if letter.get("again") and "metrics" in letter:
                    new = self._recorded.new(letter["run_id"], letter["metrics"])
                    letter = {**letter, "metrics": new}
                deliver(self._client, letter)
                self._recorded.sent(letter["run_id"], letter.get("metrics", ()))
            except Exception as error:
                if _may_pass(error):
                    self._waiting[0]["again"] = True  # it may have arrived: the answer got lost
                    self._recorded = RecordedRows(self._client)
                    now = time.monotonic()
                    self._next_try = now + max(PAUSE, SHARE * (now - begun))
                    break
                log.warning("MLflow refused a %s: %s", letter["kind"], visible_lines(error))
            self._waiting.pop(0)
        else:
            self._next_try = 0.0
        self._kept.rewrite(self._waiting)


def _may_pass(error: Exception) -> bool:
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    if isinstance(error, RequestException):  # of artifacts
        return error.response is None or error.response.status_code >= 500
    return isinstance(error, MlflowException | ConnectionError | TimeoutError) and (
        getattr(error, "error_code", "") not in FINAL
    )
