"""`trainer.compile`: the way of a training step through the backbone, compiled by torch.

What is compiled is a function of the classifier, not the classifier: names in its state dict stay,
and whatever looks at it between steps sees the plain network.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import torch

from graftwork.process import distributed
from graftwork.settings.trainer import Trainer
from graftwork.training.lightning import pl

if TYPE_CHECKING:
    from graftwork.training.graft_module import GraftModule

Through = Callable[[torch.Tensor], torch.Tensor]
# Compiling takes tens of seconds: a shorter training does not get them back.
LEAST_STEPS = 2000


class Compiling(pl.Callback):
    """Has the module compile its features while it trains, where settings and strategy want it."""

    def __init__(self, settings: Trainer) -> None:
        self._settings = settings

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        module, steps = cast("GraftModule", pl_module), int(trainer.estimated_stepping_batches)
        if self._wanted(module, steps):
            module.through = Compiled(module.classifier.features)

    def _wanted(self, module: GraftModule, steps: int) -> bool:
        asked = self._settings.compile
        if asked != "auto":
            return asked == "on"
        worth = self._settings.uses_gpu() and steps >= LEAST_STEPS
        return worth and not module.transfer.not_compiled

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        cast("GraftModule", pl_module).through = None

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        cast("GraftModule", pl_module).through = None


class Compiled:
    """Compiles a function when it is first called; where that fails, it says so and goes on with
    the plain one."""

    def __init__(self, plain: Through) -> None:
        self._plain = plain
        self._compiled: Through | None = torch.compile(plain)

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        if self._compiled is None:
            return self._plain(pixels)
        try:
            return self._compiled(pixels)
        except Exception as error:  # whatever a compiler may raise
            self._compiled = None
            _say(error)
        return self._plain(pixels)


def _say(error: Exception) -> None:
    if distributed.rank() == 0:
        first = (str(error).strip().splitlines() or [""])[0]
        print(
            f"graftwork: trainer.compile: torch cannot compile this network here "
            f"({type(error).__name__}: {first}). Training goes on without; trainer.compile=off "
            "spares the attempt.",
            file=sys.stderr,
        )
