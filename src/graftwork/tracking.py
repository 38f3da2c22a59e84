"""MLflow: open, resume, log."""

from __future__ import annotations

from dataclasses import dataclass

from graftwork.components import Component


@dataclass(frozen=True)
class Tracking(Component):
    """Where runs are recorded."""

    uri: str | None  # None: sqlite in the project; an address: that MLflow server
    experiment: str  # MLflow's name for a group of runs
    log_model: bool  # whether the run carries the model itself
