"""The guard: sees within tens of steps that a network is being destroyed.

Steps that are too large for a network wipe out what it was pretrained on: the training loss rises
beyond where it began and stays there, often to the end. Whoever only looks at the loss of the last
epoch learns it too late, and nobody tells those who do not look.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import torch

from graftwork.training.callbacks import step_is_done
from graftwork.training.graft_module import Diverged, GraftModule
from graftwork.training.lightning import pl

if TYPE_CHECKING:
    from graftwork.training.datamodule import Batch

SLOWER = 1 / 3  # rates of the next attempt, relative to the one that failed
ATTEMPTS = 4  # in all; the last has rates of 1/27
WINDOW = 16  # steps whose mean loss is looked at, in trainings of 10 times as many or more
PATIENCE = 2.0  # windows that the mean must stay up: a short rise at the start is ordinary
BATCHES = 8  # on which the loss before the first step is measured, likewise
SURE = 3.0  # standard errors that the loss must have risen by


class Destroyed(Exception):
    """The loss has risen beyond where training began, and does not come back."""

    def __init__(self, step: int, loss: float, start_loss: float) -> None:
        super().__init__(f"loss {loss:.3f} at step {step}, {start_loss:.3f} before the first")
        self.step, self.loss, self.start_loss = step, loss, start_loss


class Guard(pl.Callback):
    """Raises Destroyed when the mean loss of the last steps stays above that of the first weights,
    and Diverged when what is minimised is no number.

    The loss is the objective's alone, of pictures drawn and mixed as in training: penalties are
    least where training begins (those that hold it there are 0), and rise in any training.

    A rise that the batches' own differences could explain does not count. Every process sees the
    mean over all of them, so that all of them stop at the same step.

    Args:
        batches: new batches in the order of training, for the loss before the first step.
    """

    def __init__(self, batches: Callable[[], Iterable[Batch]]) -> None:
        self._batches = batches
        self._last: deque[float] = deque()
        self._limit = math.inf
        self._above = 0  # steps in a row
        self._total = torch.zeros(())  # what a step minimised, in its forward passes so far
        self.start_loss = math.nan

    def state_dict(self) -> dict[str, Any]:
        """What it has seen, for a training that goes on elsewhere."""
        seen = {"last": list(self._last), "window": self._last.maxlen, "above": self._above}
        return {**seen, "limit": self._limit, "start_loss": self.start_loss}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._last = deque(state_dict["last"], maxlen=state_dict["window"])
        self._above, self._limit = state_dict["above"], state_dict["limit"]
        self.start_loss = state_dict["start_loss"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._last.maxlen is not None:
            return  # it goes on
        steps = int(trainer.estimated_stepping_batches)
        window = max(2, min(WINDOW, steps // 10))
        self._last = deque(maxlen=window)
        count = max(2, min(BATCHES, steps // 10))
        losses = _losses(trainer, pl_module, self._batches(), count, steps)
        self.start_loss = float(losses.mean())
        spread = float(losses.std()) if len(losses) > 1 else 0.0
        error = spread * math.sqrt(1 / window + 1 / len(losses))
        self._limit = self.start_loss + SURE * error + 0.05 * self.start_loss

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: Any,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        guarded: GraftModule = pl_module
        self._total = self._total + outputs["loss"].detach()
        if not step_is_done(guarded, batch_idx):
            return
        loss = _mean_over_processes(trainer, guarded.latest)
        total = _mean_over_processes(trainer, self._total) if guarded.penalties else loss
        self._total = torch.zeros(())
        if not (math.isfinite(loss) and math.isfinite(total)):
            step = batch_idx // len(guarded.shares) + 1
            where = f"in epoch {trainer.current_epoch + 1}, step {step}"
            raise Diverged(f"the loss is {total} {where}", trainer.global_step)
        self._last.append(loss)
        if len(self._last) < (self._last.maxlen or 0):
            return
        mean = sum(self._last) / len(self._last)
        self._above = 0 if mean <= self._limit else self._above + 1
        if self._above > PATIENCE * len(self._last):
            raise Destroyed(trainer.global_step, mean, self.start_loss)


def _mean_over_processes(trainer: pl.Trainer, loss: torch.Tensor) -> float:
    if trainer.world_size == 1:
        return float(loss.detach())
    return float(trainer.strategy.reduce(loss.detach().clone(), reduce_op="mean"))


def _losses(
    trainer: pl.Trainer, module: Any, batches: Iterable[Batch], count: int, steps: int
) -> torch.Tensor:
    """`[count]`: the objective's loss at each of the first steps, of the first weights; nothing
    moves."""
    guarded: GraftModule = module
    moving = [*guarded.classifier.buffers(), *guarded.penalties.buffers()]
    kept = [buffer.clone() for buffer in moving]
    device, shares = trainer.strategy.root_device, guarded.shares
    found: list[float] = []
    gpus = [device] if device.type == "cuda" else []  # where dropout draws
    with torch.random.fork_rng(devices=gpus), torch.no_grad():
        guarded.train()  # as in training: BatchNorm by the batch where it is trained
        for number, batch in zip(range(count * len(shares)), batches, strict=False):
            step, part = divmod(number, len(shares))
            images, labels = trainer.strategy.batch_to_device(batch)
            with trainer.precision_plugin.forward_context():
                moment = guarded.moment(0, step, steps)
                loss = guarded.minimised(images, labels, moment, part).loss
            found += [] if part else [0.0]
            found[step] += shares[part] * _mean_over_processes(trainer, loss)
    for buffer, before in zip(moving, kept, strict=True):
        buffer.copy_(before)
    return torch.tensor(found)
