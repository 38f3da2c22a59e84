"""What looks on while a network trains: the weights that are kept, the curves, the bar, SIGTERM."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, cast

import torch

from graftwork.process.progress import count_bar
from graftwork.process.stopping import end_on_sigterm
from graftwork.training.history import History, Row
from graftwork.training.lightning import pl
from graftwork.training.plan import Plan, plan_of
from graftwork.training.plan_table import show_plan

if TYPE_CHECKING:
    from graftwork.training.graft_module import GraftModule
    from graftwork.transfer.bound.gathering import Gathering, Score


class Planned(pl.Callback):
    """What is about to be trained, told before the first step.

    Args:
        plain: the network's state dict without an adapter.
        shown: whether it is printed.
    """

    def __init__(self, plain: Mapping[str, torch.Tensor], *, shown: bool) -> None:
        self.plan: Plan | None = None
        self._plain, self._shown = plain, shown

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        module = cast("GraftModule", pl_module)
        self.plan = plan_of(module, self._plain, trainer.optimizers[0].param_groups)
        if self._shown:
            show_plan(self.plan.audit)


class Gatherer(pl.Callback):
    """Shows a Gathering the weights at the end of each epoch.

    Every process sees the same metrics, so that all of them keep and stop alike.

    Args:
        patience: epochs without improvement before an early stop, where epochs choose; 0: never.
    """

    def __init__(self, gathering: Gathering, patience: int) -> None:
        self.gathering = gathering
        self._patience, self._without = patience if gathering.chooses else 0, 0

    @property
    def copies(self) -> int:
        """How many networks it keeps, at most."""
        return self.gathering.copies

    def state_dict(self) -> dict[str, Any]:
        """What it has gathered, for a training that goes on elsewhere."""
        return {"without": self._without, "gathering": self.gathering.state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._without = state_dict["without"]
        self.gathering.go_on(state_dict["gathering"])

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        done = trainer.global_step / max(1, int(trainer.estimated_stepping_batches))
        score = _score(trainer.callback_metrics)
        network: Any = pl_module.classifier
        better = self.gathering.after_epoch(network, trainer.current_epoch, done, score)
        self._without = 0 if better else self._without + 1
        if self._patience and self._without >= self._patience:
            trainer.should_stop = True


class EachStep(Gatherer):
    """And after each step."""

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if step_is_done(pl_module, batch_idx):
            self.gathering.after_step(cast(Any, pl_module.classifier))


def step_is_done(module: Any, batch_idx: int) -> bool:
    """Whether the optimiser has moved after this batch: a step may take several forward passes."""
    return bool((batch_idx + 1) % len(module.shares) == 0)


def gatherer(gathering: Gathering, patience: int) -> Gatherer:
    """What sees no more of a training than it has to."""
    return (EachStep if gathering.each_step else Gatherer)(gathering, patience)


def _score(seen: Mapping[str, torch.Tensor]) -> Score | None:
    if "val/top1" not in seen:
        return None
    loss = float(seen["val/loss"])
    # Nothing compares with NaN: it would stay the best of its accuracy for ever.
    return float(seen["val/top1"]), float("-inf") if math.isnan(loss) else -loss


class Curves(pl.Callback):
    """One row an epoch: everything that was logged, and the head's learning rate at its end.

    Args:
        history: grows; rows of earlier attempts stay.
        further: what else there is to say at an epoch's end.
    """

    def __init__(self, history: History, further: Callable[[], Row] = dict) -> None:
        self.before = history.last_epoch
        self._history, self._further = history, further

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
        logged["lr"] = float(trainer.optimizers[0].param_groups[0]["lr"])
        logged |= self._further()
        self._history.add(logged, self.before + trainer.current_epoch + 1)

    def kept_epoch(self, chosen: Sequence[int]) -> int:
        """Of those of this attempt that were chosen, from 0, the last; the very last of none."""
        return self.before + max(chosen) + 1 if chosen else self._history.last_epoch


class Progress(pl.Callback):
    """A bar over all steps with the time left; where nobody watches, a line an epoch."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._seen: Callable[[int], None] = lambda step: None
        self._start, self._first = 0.0, 0  # when this process began, and in which epoch
        self.steps = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._start, self._first = time.monotonic(), trainer.current_epoch
        if trainer.is_global_zero:
            steps = int(trainer.estimated_stepping_batches)
            self._seen = self._open.enter_context(count_bar("training", steps))

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.steps = trainer.global_step
        self._seen(self.steps)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            done, epochs = trainer.current_epoch + 1, int(trainer.max_epochs or 1)
            spent = time.monotonic() - self._start
            each = spent / (done - self._first)
            print(
                f"epoch {done}/{epochs}  {_said(trainer.callback_metrics)}  "
                f"{spent:.0f} s, {each * (epochs - done):.0f} s left",
                file=sys.stderr,
            )

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._open.close()

    def on_exception(self, *_: Any) -> None:
        self._open.close()


def _said(metrics: Any) -> str:
    return "  ".join(f"{n} {float(v):.4f}" for n, v in metrics.items())


class EndedBySigterm(pl.Callback):
    """SIGTERM goes on ending the process with exit code 143 at once, in training too.

    Lightning's own handler ends it with 0, which records a preempted training as complete, and
    with several processes waits in a broadcast for the others, which never come.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        end_on_sigterm()
