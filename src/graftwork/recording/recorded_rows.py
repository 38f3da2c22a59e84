"""Numbers that a run already has: a training that goes on tells its last epochs again, and an
answer of the store may get lost."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

Row = Sequence[Any]  # key, value, ms since the epoch, step: as MLflow's Metric


class RecordedRows:
    """What MLflow has of runs, asked once for each key that it may have."""

    def __init__(self, client: MlflowClient) -> None:
        self._client = client
        self._found: dict[tuple[str, str], dict[int, float]] = {}  # the last value at each step
        self._keys: dict[str, frozenset[str]] = {}  # that runs had when they were opened

    def had(self, run_id: str, keys: Collection[str]) -> None:
        """Told of all keys of a run, none of whose numbers comes from anybody else."""
        self._keys[run_id] = frozenset(keys)

    def new(self, run_id: str, rows: Sequence[Row]) -> list[Row]:
        """Those of the rows that are not the last that the run has of their key and step."""
        return [row for row in rows if not _same(self._of(run_id, row[0]).get(row[3]), row[1])]

    def sent(self, run_id: str, rows: Sequence[Row]) -> None:
        """Told of what the run has from now on."""
        for key, value, _, step in rows:
            if (run_id, key) in self._found:
                self._found[run_id, key][step] = value

    def _of(self, run_id: str, key: str) -> dict[int, float]:
        if (run_id, key) not in self._found:
            may_be_there = key in self._keys.get(run_id, {key})
            history = self._client.get_metric_history(run_id, key) if may_be_there else []
            in_time = sorted(history, key=lambda metric: metric.timestamp)
            self._found[run_id, key] = {metric.step: metric.value for metric in in_time}
        return self._found[run_id, key]


def _same(known: float | None, value: float) -> bool:
    if known is None:
        return False
    return known == value or (math.isnan(known) and math.isnan(value))
