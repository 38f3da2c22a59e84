"""Recorder: where a run is told to beside its own files and MLflow; one file and one YAML each."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

from graftwork.config.components import Component
from graftwork.config.errors import UserError
from graftwork.process.stopping import status_of


@dataclass(frozen=True)
class Place:
    """Which run is opened."""

    name: str  # for people, of one line
    run_id: str  # of MLflow; stays the same when a later stage opens the run again
    params: Mapping[str, str]  # by dotted names, without secrets
    root: Path  # folder of the experiment
    project: Path  # folder of the project, which outlives it
    resumed: bool  # an earlier stage has opened it


class Recording:
    """A run, open at one recorder. What a recorder has no place for, it passes over.

    As a context it ends as FINISHED, FAILED or KILLED by itself.
    """

    run_id: str  # of MLflow

    def log_params(self, params: Mapping[str, str]) -> None:
        """Settings, as text, each once in a run's life."""

    def log_metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Numbers of one step or epoch under names like `val/top1`; they may be infinite or NaN."""

    def log_cost(self, cost: Mapping[str, Any]) -> None:
        """Numbers under `cost/`: seconds, images/s, MiB, parameters; nested names by slashes."""
        self.log_metrics(dict(joined(cost, "cost")))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Facts about the run, as text."""

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Around settings, numbers and tags of one moment, which may arrive together at its end."""
        yield

    def log_artifacts(self, path: Path, folder: str = "") -> None:
        """A file, or what a folder holds, under `folder` of the run's artifacts."""

    def log_model(self, model: Path, example: bytes) -> None:
        """The model itself.

        Args:
            model: the model folder (weights and model.json).
            example: one encoded image (the bytes of a JPEG, say), kept as the input example.
        """

    def finish(self, status: str = "FINISHED") -> None:
        """Ends the run: FINISHED, FAILED or KILLED."""

    def close(self, error: BaseException | None) -> None:
        """Ends the run as this exception says, with tags of its own if it has any."""
        if error is not None:
            tags: Mapping[str, str] = getattr(error, "tags", {})
            self.set_tags({"error": f"{type(error).__name__}: {error}", **tags})
        self.finish(status_of(error))

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(error)


@dataclass(frozen=True)
class Recorder(Component):
    """A further tracker. Whatever it raises is said once, and costs the run nothing."""

    PACKAGE: ClassVar[str]  # that it imports
    EXTRA: ClassVar[str]  # of graftwork, that brings it

    def check(self) -> None:
        """Raises UserError where its package is missing, before any time is spent."""
        if find_spec(self.PACKAGE) is None:
            raise UserError(
                f"the package {self.PACKAGE} is missing. Install it: "
                f"`pip install 'graftwork[{self.EXTRA}]'`, or leave this recorder out."
            )

    @abstractmethod
    def open(self, place: Place) -> Recording:
        """Opens the run, anew or where an earlier stage left it."""


def new_rows(
    known: Mapping[tuple[str, int], float], values: Mapping[str, float], step: int
) -> dict[str, float]:
    """Without those that a recorder has: a training that goes on tells its last epochs again.

    Args:
        known: by name and step, in the precision of float32 at least.
    """

    def is_known(name: str, value: float) -> bool:
        found = known.get((name, step))
        return found is not None and (
            math.isclose(found, value, rel_tol=1e-6) or math.isnan(found) and math.isnan(value)
        )

    return {name: value for name, value in values.items() if not is_known(name, value)}


def joined(values: Mapping[str, Any], path: str) -> list[tuple[str, float]]:
    """Nested numbers as `("cost/seconds/finetune", 130.0)`."""
    rows: list[tuple[str, float]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            rows += joined(value, f"{path}/{key}")
        elif isinstance(value, int | float):
            rows.append((f"{path}/{key}", float(value)))
    return rows
