"""Where runs are recorded: the fields of conf/tracking."""

from __future__ import annotations

import re
from dataclasses import dataclass

from graftwork.config.components import Component
from graftwork.config.errors import UserError
from graftwork.recorders.base import Recorder

_SECRET_IN_QUERY = re.compile(
    r"[?&;][^=&;]*(pass|pwd|token|secret|key|auth)[^=&;]*=", re.IGNORECASE
)
_SERVER = re.compile(r"(https?|postgresql|mysql|mssql)(\+\w+)?://[^/@\s]+|sqlite:////?[^/]")


@dataclass(frozen=True)
class Tracking(Component):
    """Where runs are recorded."""

    uri: str | None  # None: sqlite in the project; an address: that MLflow server
    experiment: str  # MLflow's name for a group of runs
    log_model: bool  # whether the run carries the model itself
    recorders: dict[str, Recorder]  # further ones, by name

    def __post_init__(self) -> None:
        if not self.experiment.strip():
            raise UserError("experiment: empty. Give the group of runs a name.")
        if self.uri is None:
            return
        if "@" in self.uri.partition("://")[2].partition("/")[0]:
            raise UserError(
                "uri: user and password do not belong into a configuration, which is recorded. "
                "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead."
            )
        if _SECRET_IN_QUERY.search(self.uri):
            raise UserError(
                "uri: holds a secret (after the ?), and a configuration is recorded. Set "
                "MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, "
                "instead."
            )
        if not _SERVER.match(self.uri):
            raise UserError(
                f"uri: '{self.uri}' is not the address of a store. Legal: null (SQLite in the "
                "project), http://host:port, https://host, sqlite:////absolute/path.db, "
                "postgresql://host/name. MLflow no longer records into plain folders."
            )

    def check(self) -> None:
        """Raises UserError where a recorder cannot work here; see `Recorder.check`."""
        for name, recorder in self.recorders.items():
            try:
                recorder.check()
            except UserError as error:
                raise UserError(f"tracking.recorders.{name}: {error}") from error
