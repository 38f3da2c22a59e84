"""The sweepers of this project, where Hydra looks for plugins: `hydra/sweeper=optuna`."""

from __future__ import annotations

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from pipelines.composed_once import composed_once
from pipelines.minutes import MinutesSweeper
from pipelines.optuna_sweeper import OptunaSweeper


class Grid(BasicSweeper):
    """Hydra's own sweeper: every combination, one after the other."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Jobs that choose the same files are composed once."""
        context = composed_once(hydra_context)
        super().setup(hydra_context=context, task_function=task_function, config=config)

    def validate_batch_is_legal(self, batch: list[list[str]]) -> None:
        """Every choice has been checked: Hydra would compose each job twice to do so again."""


class Optuna(OptunaSweeper):
    """See `pipelines.optuna_sweeper`."""


class Minutes(MinutesSweeper):
    """See `pipelines.minutes`."""
