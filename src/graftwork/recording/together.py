"""A run at several recorders at once: MLflow, then those that the configuration adds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from graftwork.process.terminal import visible, visible_lines
from graftwork.recorders.base import Place, Recorder, Recording

log = logging.getLogger(__name__)


class Together(Recording):
    """Tells each of them everything. One that fails is named once, and is told nothing more.

    Args:
        first: MLflow's, which never fails; by its id the run is known.
        recorders: further ones, by name.
        place: which run they open.
    """

    def __init__(self, first: Recording, recorders: Mapping[str, Recorder], place: Place) -> None:
        self.run_id = first.run_id
        self._first = first
        self._others: dict[str, Recording] = {}
        for name, recorder in recorders.items():
            with self._guarded(name):
                self._others[name] = recorder.open(place)

    def log_params(self, params: Mapping[str, str]) -> None:
        self._first.log_params(params)
        self._tell(lambda other: other.log_params(params))

    def log_metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        self._first.log_metrics(values, step)
        self._tell(lambda other: other.log_metrics(values, step))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        self._first.set_tags(tags)
        self._tell(lambda other: other.set_tags(tags))

    @contextmanager
    def at_once(self) -> Iterator[None]:
        with self._first.at_once():
            yield

    def log_artifacts(self, path: Path, folder: str = "") -> None:
        self._first.log_artifacts(path, folder)
        self._tell(lambda other: other.log_artifacts(path, folder))

    def log_model(self, model: Path, example: bytes) -> None:
        self._first.log_model(model, example)
        self._tell(lambda other: other.log_model(model, example))

    def finish(self, status: str = "FINISHED") -> None:
        self._first.finish(status)
        self._tell(lambda other: other.finish(status))

    def _tell(self, say: Callable[[Recording], None]) -> None:
        for name, other in list(self._others.items()):
            with self._guarded(name):
                say(other)

    @contextmanager
    def _guarded(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._others.pop(name, None)
            said = visible(name), visible_lines(error).rstrip(".")
            log.warning("tracking.recorders.%s: %s. Nothing more is recorded there.", *said)
