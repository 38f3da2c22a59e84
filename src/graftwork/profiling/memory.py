"""Memory of training and of prediction, forecast before anything is run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from typing import TYPE_CHECKING

from graftwork.config.errors import check_choice, check_range
from graftwork.profiling import heap
from graftwork.profiling.allocations import FREED, Event, Step, prediction, training_step

if TYPE_CHECKING:
    import torch

    from graftwork.models.classifier import Classifier
    from graftwork.transfer.strategy import Transfer

STEPS = 3  # the first has no old gradients, the second finds holes of the first: then it repeats
DEVICES = ("cpu", "cuda")


@dataclass(frozen=True)
class Memory:
    """Peak memory of one process, in bytes, beyond what Python and its libraries take.

    Pictures being loaded and the copy of the best weights, which training keeps where validation
    chooses the epoch (as large as `parameters`), come on top.
    """

    parameters: int  # and buffers; twice where the strategy keeps the first weights
    gradients: int  # of what is trained, fp32
    optimiser: int  # AdamW: two fp32 numbers a trained parameter
    activations: int  # alive between forward and backward pass; of prediction: the most at once
    workspace: int  # passing: gradients of maps, reordered weights, gaps that the allocator leaves

    @property
    def total(self) -> int:
        return sum(asdict(self).values())

    def as_dict(self) -> dict[str, int]:
        """All fields and the total."""
        return {**asdict(self), "total": self.total}


def forecast(
    classifier: Classifier,
    transfer: Transfer,
    *,
    batch_size: int,
    precision: str,
    device: str = "cpu",
) -> Memory:
    """Peak memory of training steps; of the most demanding epoch where epochs train differently.

    AdamW as this project uses it (Kingma & Ba 2015: two moments). On GPUs torch's own allocator
    counts what is alive (`torch.cuda.max_memory_allocated`), so there is no heap to simulate; the
    convolution libraries' workspaces there are not forecast.

    Args:
        classifier: with its head; it is not run, and left as it is.
        precision: fp32 or bf16; see graftwork.models.precision.chosen for `auto`.
        device: cpu or cuda.

    Raises:
        UserError: an illegal batch size, precision or device.
    """
    _check(batch_size, precision, device)
    found = [
        _of_training(classifier, transfer, epoch, batch_size, precision, device)
        for epoch in _different(classifier, transfer)
    ]
    if not found:  # nothing is trained after the head's initialisation
        return forecast_prediction(
            classifier, batch_size=batch_size, precision=precision, device=device
        )
    return max(found, key=lambda memory: memory.total)


def forecast_prediction(
    classifier: Classifier, *, batch_size: int, precision: str, device: str = "cpu"
) -> Memory:
    """Peak memory of a forward pass without autograd.

    Raises:
        UserError: an illegal batch size, precision or device.
    """
    _check(batch_size, precision, device)
    events = prediction(classifier, batch_size=batch_size, precision=precision)
    alive = heap.largest_sum(events)
    resident = heap.peak(events * STEPS) if device == "cpu" else alive
    return Memory(_size(classifier), 0, 0, alive, max(0, resident - alive))


def _check(batch_size: int, precision: str, device: str) -> None:
    check_range("batch_size", batch_size, 1)
    check_choice("precision", precision, ("fp32", "bf16"))
    check_choice("device", device, DEVICES)


def _different(classifier: Classifier, transfer: Transfer) -> Iterator[int]:
    """The first epoch of each set of trained groups."""
    names = [group.name for group in classifier.layer_groups()[:-1]]
    seen = set()
    for epoch in range(transfer.epochs):
        trained = tuple(transfer.trainable.groups(names, epoch))
        if trained not in seen:
            seen.add(trained)
            yield epoch


def _of_training(
    classifier: Classifier,
    transfer: Transfer,
    epoch: int,
    batch_size: int,
    precision: str,
    device: str,
) -> Memory:
    step = training_step(
        classifier, transfer, epoch=epoch, batch_size=batch_size, precision=precision
    )
    copies = 2  # the first weights are kept beside: the way may have to be gone back
    parameters = copies * _size(classifier)
    gradients = sum(_left(step.forward + step.backward).values())
    activations = sum(_left(step.forward).values())
    events = list(steps(step, [tensor.nbytes for tensor in _state(classifier)] * copies))
    most = heap.peak(events) if device == "cpu" else heap.largest_sum(events)
    known = parameters + gradients + 2 * gradients + activations
    return Memory(parameters, gradients, 2 * gradients, activations, max(0, most - known))


def steps(step: Step, state: Sequence[int]) -> Iterator[Event]:
    """What several training steps allocate and free, in Lightning's order.

    Old gradients live until the next forward pass is over. AdamW makes its moments in the first
    step; fused, it needs nothing that passes.

    Args:
        state: bytes of what is there before.
    """
    fresh = count()
    yield from ((next(fresh), size) for size in state)
    gradients: list[int] = []
    for number in range(STEPS):
        names: dict[int, int] = defaultdict(lambda: next(fresh))
        yield from ((names[block], size) for block, size in step.forward)
        yield from ((block, FREED) for block in gradients)
        yield from ((names[block], size) for block, size in step.backward)
        left = _left(step.forward + step.backward)
        gradients = [names[block] for block in left]
        if number == 0:
            yield from ((next(fresh), size) for size in left.values() for _ in range(2))


def _left(events: Sequence[Event]) -> dict[int, int]:
    """Blocks that are still there, and their bytes, the oldest first."""
    alive: dict[int, int] = {}
    for block, size in events:
        if size == FREED:
            alive.pop(block)
        else:
            alive[block] = size
    return alive


def _state(classifier: Classifier) -> list[torch.Tensor]:
    return [*classifier.parameters(), *classifier.buffers()]


def _size(classifier: Classifier) -> int:
    return sum(tensor.nbytes for tensor in _state(classifier))
