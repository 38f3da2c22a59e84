"""A training that keeps where it is, and goes on from there."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import torch

from graftwork.process.preemption import Request, end
from graftwork.process.terminal import visible
from graftwork.training.callbacks import step_is_done
from graftwork.training.diverging import Diverged
from graftwork.training.lightning import pl
from graftwork.training.resuming.files import State, check_room
from graftwork.training.resuming.legs import Clock, Leg, bytes_of
from graftwork.training.resuming.states import Watchers, give_back, own_state, shared_state

if TYPE_CHECKING:
    from graftwork.training.graft_module import GraftModule

log = logging.getLogger(__name__)

MOMENTS = 2  # tensors an optimiser keeps for each that it trains; most keep so many, or fewer


class Checkpoints(pl.Callback):
    """The last of the callbacks: what the others have done of a step is done.

    A checkpoint lies between two steps of an epoch, or between two epochs. Whoever is asked to end
    keeps one and ends; all processes do so at the same step.

    Args:
        leg: where they go.
        prefix: of their names, which sort in the order of the training.
        facts: what else is kept, as it is now.
        watchers: other callbacks, whose state is kept, by name.
        taken_up: the checkpoint that this training goes on from; None: it begins.
        request: what this process has been asked.
    """

    def __init__(
        self,
        leg: Leg,
        prefix: str,
        facts: Callable[[], State],
        watchers: Watchers,
        taken_up: State | None,
        request: Request,
    ) -> None:
        self._leg, self._prefix, self._facts, self._watchers = leg, prefix, facts, watchers
        self._taken_up, self._request = taken_up, request
        self._clock = Clock(leg.legs, 0)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._taken_up is not None:
            trainer.fit_loop.load_state_dict(self._taken_up["loops"])

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._request.listen()  # Lightning has its own handlers: they end with code 0, or hang
        module = cast("GraftModule", pl_module)
        if self._taken_up is not None:
            give_back(trainer, module, self._taken_up)
            self._taken_up = None  # its tensors are not needed a second time
        size = _size(module, self._watchers)
        check_room(self._leg.folder, size)
        self._clock = Clock(self._leg.legs, size)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object,
        batch_idx: int,
    ) -> None:  # fmt: skip
        inside = batch_idx + 1 < trainer.num_training_batches and step_is_done(pl_module, batch_idx)
        if inside and trainer.global_step != trainer.max_steps:
            epoch = trainer.current_epoch
            self._look(trainer, cast("GraftModule", pl_module), epoch, batch_idx + 1)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        last = trainer.current_epoch + 1 == trainer.max_epochs or trainer.should_stop
        if not last and trainer.global_step != trainer.max_steps:
            self._look(trainer, cast("GraftModule", pl_module), trainer.current_epoch + 1, 0)

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """A training that diverges is kept as it was before that step."""
        if isinstance(exception, Diverged) and (at := exception.at) is not None:
            self._keep(trainer, cast("GraftModule", pl_module), at.epoch, at.batch)

    def _look(self, trainer: pl.Trainer, module: GraftModule, epoch: int, batch: int) -> None:
        """Keeps a checkpoint if one is due, or if the training is to end here."""
        due = self._clock.is_due(epoch_ended=batch == 0) and trainer.is_global_zero
        code, wanted = _agreed(trainer, self._request.code, int(due))
        if not code and not wanted:
            return
        kept = self._keep(trainer, module, epoch, batch)
        if code:
            end(code, f"after {trainer.global_step} steps" if kept else None)

    def _keep(self, trainer: pl.Trainer, module: GraftModule, epoch: int, batch: int) -> bool:
        """Whether it stands. A disk that is full ends no training: the earlier ones stand."""
        broken = not all(bool(t.isfinite().all()) for t in module.classifier.state_dict().values())
        if _agreed(trainer, int(broken))[0]:
            return False  # the guard says so at the next step, and the last finite one stays
        own = {**self._facts(), **own_state(trainer, module, self._watchers, epoch, batch)}
        shared = shared_state(trainer, module) if trainer.is_global_zero else {}
        name = f"{self._prefix}{trainer.global_step:09d}"
        with self._clock.writing():
            try:
                self._leg.write(name, shared, own)
            except OSError as error:
                log.warning(
                    "%s: no checkpoint could be written after step %d (%s). Training goes on; a "
                    "kill costs what came since the last one.",
                    visible(self._leg.folder), trainer.global_step, visible(error),
                )  # fmt: skip
                return False
        return True


def _agreed(trainer: pl.Trainer, *values: int) -> list[int]:
    """The largest of all processes."""
    if trainer.world_size == 1:
        return list(values)
    found = torch.tensor(values, device=trainer.strategy.root_device)
    return [int(value) for value in trainer.strategy.reduce(found, reduce_op="max")]


def _size(module: GraftModule, watchers: Watchers) -> int:
    """Bytes of a checkpoint, before the optimiser has any state of its own."""
    trained = {n: p for n, p in module.named_parameters() if p.requires_grad}
    weights = bytes_of(module.state_dict())
    copies = sum(getattr(watcher, "copies", 0) for watcher in watchers.values())
    return weights * (1 + copies) + MOMENTS * bytes_of(trained)
