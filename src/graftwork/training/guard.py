"""The guard: sees within tens of steps that a network is being destroyed, and at once where a
loss or a gradient is no number.

Steps that are too large for a network wipe out what it was pretrained on: the training loss rises
beyond where it began and stays there, often to the end. Whoever only looks at the loss of the last
epoch learns it too late, and nobody tells those who do not look.
"""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import torch

from graftwork.process import distributed
from graftwork.training.before_step import BeforeStep
from graftwork.training.callbacks import step_is_done
from graftwork.training.diverging import Diverged, Step
from graftwork.training.graft_module import GraftModule
from graftwork.training.lightning import pl

if TYPE_CHECKING:
    from graftwork.training.datamodule import Batch

SLOWER = 1 / 3  # rates of the next attempt, relative to the one that failed
ATTEMPTS = 4  # in all; the last has rates of 1/27
WINDOW = 16  # steps whose mean loss is looked at, in trainings of 6 times as many or more
PATIENCE = 2.0  # windows that the mean must stay up: a short rise at the start is ordinary
BATCHES = 8  # on which the loss before the first step is measured, of 3 times as many or more
SURE = 3.0  # standard errors that the loss must have risen by
IN_A_ROW = 10  # steps that are passed over, before training ends all the same


class Destroyed(Exception):
    """The loss has risen beyond where training began, and does not come back."""

    def __init__(self, step: int, loss: float, start_loss: float) -> None:
        super().__init__(f"loss {loss:.3f} at step {step}, {start_loss:.3f} before the first")
        self.step, self.loss, self.start_loss = step, loss, start_loss


class Guard(pl.Callback):
    """Raises Destroyed when the mean loss of the last steps stays above that of the first weights.

    A step whose loss or gradient is no number, or whose loss is a spike, is not taken. Where rates
    may be the cause (the first steps, or a loss that has risen), the network is being destroyed as
    well (Diverged without a step); else training ends by Diverged, as it was before that step, or
    passes over it, until too many come in a row.

    The loss is the objective's alone, of pictures drawn and mixed as in training: penalties are
    least where training begins (those that hold it there are 0), and rise in any training.

    A rise that the batches' own differences could explain does not count. Every process sees the
    mean over all of them, so that all of them stop at the same step.

    Args:
        batches: new batches in the order of training, for the loss before the first step.
        skips: whether steps are passed over rather than ending the training.
        spike: a loss so many times that before the first step (or 1, if that is less) is one; None:
            none is.
        last: whether there is no other attempt, with lower rates.
    """

    def __init__(
        self,
        batches: Callable[[], Iterable[Batch]],
        *,
        skips: bool,
        spike: float | None,
        last: bool,
    ) -> None:
        self._batches, self._skips, self._spike, self._last_try = batches, skips, spike, last
        self._last: deque[float] = deque()
        self._limit = math.inf
        self._above = 0  # steps in a row
        self._in_a_row = 0  # steps that were passed over
        self.passed_over = 0  # of them in all
        self._loss, self._taken = math.nan, True  # of the latest step
        self._batch = 0  # of the epoch
        self._before: BeforeStep | None = None
        self.start_loss = math.nan

    @property
    def latest(self) -> list[float]:
        """Losses of the steps before this one, as many as it looks at."""
        return list(self._last)

    def row(self) -> dict[str, float]:
        """What the curves say of it."""
        return {"train/passed_over": float(self.passed_over)} if self.passed_over else {}

    def state_dict(self) -> dict[str, Any]:
        """What it has seen, for a training that goes on elsewhere."""
        seen = {"last": list(self._last), "window": self._last.maxlen, "above": self._above}
        passed = {"in_a_row": self._in_a_row, "passed_over": self.passed_over}
        return {**seen, **passed, "limit": self._limit, "start_loss": self.start_loss}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._last = deque(state_dict["last"], maxlen=state_dict["window"])
        self._above, self._limit = state_dict["above"], state_dict["limit"]
        self.start_loss = state_dict["start_loss"]
        self._in_a_row, self.passed_over = state_dict["in_a_row"], state_dict["passed_over"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        module: Any = pl_module
        self._before = BeforeStep(module)
        module.judge = lambda norm: self.judge(trainer, module, norm)
        if self._last.maxlen is not None:
            return  # it goes on
        steps = int(trainer.estimated_stepping_batches)
        window = max(2, min(WINDOW, steps // 6))
        self._last = deque(maxlen=window)
        count = max(2, min(BATCHES, steps // 3))
        losses = _losses(trainer, pl_module, self._batches(), count, steps)
        self.start_loss = float(losses.mean())
        spread = float(losses.std()) if len(losses) > 1 else 0.0
        error = spread * math.sqrt(1 / window + 1 / len(losses))
        self._limit = self.start_loss + SURE * error + 0.05 * self.start_loss

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: object, batch_idx: int
    ) -> None:
        module: Any = pl_module
        self._batch = batch_idx
        if self._before is not None and batch_idx % len(module.shares) == 0:
            self._before.note()

    def judge(self, trainer: pl.Trainer, module: GraftModule, norm: torch.Tensor) -> bool:
        """Whether a step is to be taken, whose gradient has this norm. Else all is as before it.

        Raises:
            Diverged: it is not, nor any after it.
        """
        loss, total, size = numbers_of(trainer, module, norm)
        self._loss, wrong = loss, self._wrong(loss, total, size)
        self._taken = not wrong
        if self._taken:
            self._in_a_row = 0
            return True
        if self._before is not None:
            self._before.give_back()
        step, part = divmod(self._batch, len(module.shares))
        epoch, done = trainer.current_epoch, trainer.global_step
        at = Step(epoch, step, self._batch - part, done, loss, total, size, wrong)
        if not self._skips or self._in_a_row >= IN_A_ROW:
            lower = not self._last_try and self._by_rates()
            raise Diverged(str(at), at.done, None if lower else at)
        self._in_a_row, self.passed_over = self._in_a_row + 1, self.passed_over + 1
        if distributed.rank() == 0:
            print(f"graftwork: {at}: passed over.", file=sys.stderr)
        return False

    def _wrong(self, loss: float, total: float, norm: float) -> str:
        """What is wrong with a step; empty: nothing is."""
        if not (math.isfinite(loss) and math.isfinite(total)):
            return f"the loss is {total}"
        if not math.isfinite(norm):
            return f"the gradient is {norm}"
        if self._spike is not None and loss > self._spike * max(1.0, self.start_loss):
            first = f"{self.start_loss:.4g} before the first step"
            return f"the loss is {loss:.4g} ({first}; trainer.loss_spike={self._spike:g})"
        return ""

    def _by_rates(self) -> bool:
        """Whether steps may have been too large: these are the first, or the loss has risen."""
        window = self._last.maxlen or 0
        return len(self._last) < window or sum(self._last) > self._limit * window

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: Any,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if not step_is_done(pl_module, batch_idx) or not self._taken:
            return
        self._last.append(self._loss)
        if len(self._last) < (self._last.maxlen or 0):
            return
        mean = sum(self._last) / len(self._last)
        self._above = 0 if mean <= self._limit else self._above + 1
        if self._above > PATIENCE * len(self._last):
            raise Destroyed(trainer.global_step, mean, self.start_loss)


def numbers_of(
    trainer: pl.Trainer, module: GraftModule, norm: torch.Tensor
) -> tuple[float, float, float]:
    """Of the step that is to be taken, means over all processes: the objective's loss, what is
    minimised, and the norm of the gradient."""
    values = torch.stack([module.latest, module.latest_total, norm]).float()
    loss, total, size = means_over_processes(trainer, values)
    return loss, total, size


def means_over_processes(trainer: pl.Trainer, values: torch.Tensor) -> list[float]:
    """Of each of the values `[n]`, the mean; every process calls it."""
    if trainer.world_size > 1:
        values = trainer.strategy.reduce(values.detach().clone(), reduce_op="mean")
    return [float(value) for value in values.tolist()]


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
            found[step] += shares[part] * means_over_processes(trainer, loss[None])[0]
    for buffer, before in zip(moving, kept, strict=True):
        buffer.copy_(before)
    return torch.tensor(found)
