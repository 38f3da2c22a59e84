"""The sweepers of this project, where Hydra looks for plugins: `hydra/sweeper=optuna`."""

from __future__ import annotations

from pipelines.minutes import MinutesSweeper
from pipelines.optuna_sweeper import OptunaSweeper


class Optuna(OptunaSweeper):
    """See `pipelines.optuna_sweeper`."""


class Minutes(MinutesSweeper):
    """See `pipelines.minutes`."""
