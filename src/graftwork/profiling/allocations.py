"""When a training step allocates and frees memory, seen without computing or allocating anything.

The step runs on fake tensors (torch's own: shapes, strides and types, no data), through the very
code that trains: the same autocast, the same folded BatchNorm, the same autograd, which saves for
the backward pass what it really saves. A dispatch mode sees each new storage, and its end.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from graftwork.training.fast_forward import fast_forward, norms_behind

if TYPE_CHECKING:
    from graftwork.models.classifier import Classifier
    from graftwork.transfer.strategy import Transfer

FREED = -1
Event = tuple[int, int]  # (which block, its bytes, or FREED)


@dataclass(frozen=True)
class Step:
    """One forward and backward pass. What is still there at its end are the gradients."""

    forward: list[Event]
    backward: list[Event]


class Allocations(TorchDispatchMode):
    """Records every storage that comes and goes within it.

    Args:
        there: tensors that were there before; their storages are not recorded.
    """

    def __init__(self, there: Sequence[torch.Tensor]) -> None:
        super().__init__()
        self.events: list[Event] = []
        self._there = [tensor.untyped_storage() for tensor in there]
        self._known = {id(storage): 0 for storage in self._there}
        self._count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before, after = _scratch(func, args)
        self._passing(before)
        output = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(output):
            if isinstance(tensor, torch.Tensor):
                self._see(tensor.untyped_storage())
        self._passing(after)
        return output

    def _see(self, storage: torch.UntypedStorage) -> None:
        if id(storage) not in self._known:
            block = self._new(storage.nbytes())
            self._known[id(storage)] = block
            weakref.finalize(storage, self._freed, id(storage), block)

    def _new(self, size: int) -> int:
        self._count += 1
        self.events.append((self._count, size))
        return self._count

    def _freed(self, storage: int, block: int) -> None:
        if self._known.get(storage) == block:  # an id is used again
            del self._known[storage]
        self.events.append((block, FREED))

    def _passing(self, sizes: Sequence[int]) -> None:
        blocks = [self._new(size) for size in sizes]
        self.events += [(block, FREED) for block in blocks]


def _scratch(func: Any, args: Any) -> tuple[list[int], list[int]]:
    """Bytes that an operator allocates inside itself on a CPU, before and after its output.

    oneDNN multiplies by weights in a blocked order of its own: a convolution reorders them into a
    copy; its backward pass makes one for the gradient of the input and another for that of the
    weights, which is reordered at its end. BatchNorm's backward pass fills a second map of the
    input's size. (Seen by counting what malloc hands out within each operator, fp32 and bf16.)
    """
    aten = torch.ops.aten
    if func is aten.convolution.default:
        return [args[1].untyped_storage().nbytes()], []
    if func is aten.convolution_backward.default:
        return [], [args[2].untyped_storage().nbytes()] * 2
    if func is aten.native_batch_norm_backward.default:
        return [], [args[1].untyped_storage().nbytes()]
    return [], []


def training_step(
    classifier: Classifier, transfer: Transfer, *, epoch: int, batch_size: int, precision: str
) -> Step:
    """The allocations of a training step in this epoch, on the CPU.

    Args:
        classifier: any; it is left as it is.
        precision: fp32 or bf16.
    """
    bf16 = precision == "bf16"
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    network = without_data(classifier, fake)
    names = [group.name for group in network.layer_groups()[:-1]]
    network.freeze(transfer.trainable.groups(names, epoch), transfer.batch_norm)
    network.train()
    with fake:  # without data nothing can be compared: these are the pairs that look foldable
        pairs = norms_behind(network) if transfer.batch_norm == "frozen" else []
    with fake, fast_forward(network, fold=pairs, depthwise_fp32=bf16):
        recorded = Allocations([*network.parameters(), *network.buffers()])
        with recorded:
            images = _pixels(network, batch_size)
            logits = _logits(network, images, bf16)
            labels = torch.zeros(batch_size, dtype=torch.int64)
            loss = F.cross_entropy(logits.float(), labels, label_smoothing=transfer.label_smoothing)
            forward = len(recorded.events)
            loss.backward()
            del images, labels, logits, loss
        return Step(recorded.events[:forward], recorded.events[forward:])


def prediction(classifier: Classifier, *, batch_size: int, precision: str) -> list[Event]:
    """The allocations of a forward pass alone, in eval mode and without autograd."""
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    network = without_data(classifier, fake).eval()
    recorded = Allocations([*network.parameters(), *network.buffers()])
    with fake, torch.no_grad(), recorded:
        images = _pixels(network, batch_size)
        _logits(network, images, precision == "bf16")
        del images
    return list(recorded.events)


def _pixels(network: Classifier, batch_size: int) -> torch.Tensor:
    """A blank batch as loaders give it."""
    side = network.input_spec.size
    return torch.zeros(batch_size, side, side, 3, dtype=torch.uint8)


def _logits(network: Classifier, images: torch.Tensor, bf16: bool) -> torch.Tensor:
    """Under autocast as Lightning sets it up, which keeps no cache of cast weights."""
    autocast = torch.autocast("cpu", torch.bfloat16, cache_enabled=False) if bf16 else nullcontext()
    with autocast:
        logits: torch.Tensor = network(network.normalise(images))
    return logits


def without_data(classifier: Classifier, fake: FakeTensorMode) -> Classifier:
    """A copy whose parameters and buffers have everything but content."""
    tensors = [*classifier.parameters(), *classifier.buffers()]
    return copy.deepcopy(classifier, {id(tensor): fake.from_tensor(tensor) for tensor in tensors})
