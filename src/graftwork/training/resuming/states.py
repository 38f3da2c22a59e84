"""The state of a training between two steps, taken and given back.

What follows from seed, epoch, step and index (order, views, mixing) needs no state. What is left:
weights, optimiser, schedule, how far the loops are, metrics of the epoch so far, what held-out
pictures have said, and torch's own generators, from which dropout and stochastic depth draw.
Nothing here draws from Python's or numpy's global ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import torch

from graftwork.training.lightning import pl, torchmetrics
from graftwork.training.resuming.files import State
from graftwork.transfer.bound.resting import Resting

if TYPE_CHECKING:
    from graftwork.training.graft_module import GraftModule

Watchers = Mapping[str, pl.Callback]


def shared_state(trainer: pl.Trainer, module: GraftModule) -> State:
    """What is the same in all processes."""
    return {
        "parameters": {name: p.detach() for name, p in _parameters(module)},
        "optimiser": trainer.optimizers[0].state_dict(),
        "schedule": _schedule(trainer).state_dict(),
    }


def own_state(
    trainer: pl.Trainer, module: GraftModule, watchers: Watchers, epoch: int, batch: int
) -> State:
    """What each process has of its own: BatchNorm's statistics, sums of metrics, generators.

    Args:
        epoch: that comes next, or is under way.
        batch: of the epoch, that comes next; 0: the epoch before has ended.
    """
    open_passes = _processed(trainer) - batch if epoch == trainer.current_epoch else 0
    return {
        "epoch": epoch,
        "batch": batch,
        "loops": _between(trainer.fit_loop.state_dict(), epoch, batch, open_passes),
        "buffers": {name: buffer for name, buffer in buffers_of(module)},
        "metrics": [dict(metric.metric_state) for metric in metrics_of(module)] if batch else [],
        "seen": dict(trainer.callback_metrics),
        "validated": list(module.validated),
        "watchers": {name: watcher.state_dict() for name, watcher in watchers.items()},
        "random": random_of(module.device),
    }


def give_back(trainer: pl.Trainer, module: GraftModule, state: State) -> None:
    """The training is where it was, when its first hook has run; `loops` are given back before."""
    _fill(dict(_parameters(module)), state["parameters"])
    _fill(dict(buffers_of(module)), state["buffers"])
    trainer.optimizers[0].load_state_dict(state["optimiser"])
    _schedule(trainer).load_state_dict(state["schedule"])
    module.validated = tuple(state["validated"])
    trainer.callback_metrics.update(state["seen"])
    for metric, values in zip(metrics_of(module), state["metrics"], strict=bool(state["batch"])):
        for name, value in values.items():
            setattr(metric, name, value)
    if state["batch"]:  # inside an epoch, whose beginning Lightning does not tell again
        module.on_train_epoch_start()
    set_random(state["random"], module.device)


def _between(loops: dict[str, Any], epoch: int, batch: int, open_passes: int) -> dict[str, Any]:
    """Lightning's counters, as they stand between two steps, or two epochs.

    In its hooks, and within a step, they say that a step, or an epoch, is not quite complete; taken
    up from there, steps are left out. Those of validation, which is not under way, are left out.
    """
    found = {name: value for name, value in loops.items() if "val_loop" not in name}
    under_way = epoch + (batch > 0)
    found["epoch_progress"] = _counters(found["epoch_progress"], under_way, epoch)
    steps = found["epoch_loop.batch_progress"]
    total = steps["total"]["processed"] - open_passes
    found["epoch_loop.batch_progress"] = {
        "total": dict.fromkeys(steps["total"], total),
        "current": dict.fromkeys(steps["current"], batch),
        "is_last_batch": False,
    }
    taken = found["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]["step"]
    for counted in taken.values():
        counted["ready"] = counted["completed"]
    return found


def _processed(trainer: pl.Trainer) -> int:
    """Batches of this epoch that are done, those of a step that is under way included."""
    return int(cast(Any, trainer.fit_loop.epoch_loop.batch_progress.current).processed)


def _counters(progress: Mapping[str, Any], begun: int, done: int) -> dict[str, Any]:
    one = {"ready": begun, "started": begun, "processed": done, "completed": done}
    return {**progress, "total": one, "current": dict(one)}


def _fill(tensors: Mapping[str, torch.Tensor], values: Mapping[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, tensor in tensors.items():
            tensor.copy_(values[name])


def _parameters(module: GraftModule) -> Iterator[tuple[str, torch.nn.Parameter]]:
    resting = _resting(module)
    return (pair for pair in module.named_parameters() if not pair[0].startswith(resting))


def buffers_of(module: GraftModule) -> Iterator[tuple[str, torch.Tensor]]:
    """Those that training may move. The others are not persistent: the first weights that a
    penalty holds to, weights of classes."""
    resting, persistent = _resting(module), module.state_dict(keep_vars=True).keys()
    for name, buffer in module.named_buffers():
        if name in persistent and not name.startswith(resting):
            yield name, buffer


def _resting(module: GraftModule) -> tuple[str, ...]:
    """Networks that only answer are as they began: teachers, the network before training."""
    return tuple(f"{name}." for name, m in module.named_modules() if isinstance(m, Resting))


def metrics_of(module: GraftModule) -> list[torchmetrics.Metric]:
    return [m for m in module.modules() if isinstance(m, torchmetrics.Metric)]


def _schedule(trainer: pl.Trainer) -> Any:
    return trainer.lr_scheduler_configs[0].scheduler


def random_of(device: torch.device) -> dict[str, torch.Tensor]:
    """States of the generators that a training draws from."""
    found = {"cpu": torch.get_rng_state()}
    return found | ({"gpu": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {})


def set_random(states: Mapping[str, torch.Tensor], device: torch.device) -> None:
    """The way back of `random_of`."""
    torch.set_rng_state(states["cpu"])
    if "gpu" in states:
        torch.cuda.set_rng_state(states["gpu"], device)
