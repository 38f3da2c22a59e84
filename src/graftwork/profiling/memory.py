"""Memory of training, forecast before anything is run.

A forward pass on torch's fake tensors, which have shapes and types but no data, through the code
that trains: the same autocast, the same frozen groups, the same folded BatchNorm. What autograd
saves for the backward pass is seen by its hooks (`torch.autograd.graph.saved_tensors_hooks`), so
nothing is assumed about layers. Takes almost no memory, whatever the network and the batch.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch._subclasses import FakeTensorMode  # no public name; torch's own guide imports it so

from graftwork.config.errors import check_choice, check_range
from graftwork.models.network.folding import norms_behind
from graftwork.training.fast_forward import fast_forward
from graftwork.transfer.parts import Facts

if TYPE_CHECKING:
    from graftwork.models.network.classifier import Classifier
    from graftwork.transfer.parts import Optimiser
    from graftwork.transfer.strategy import Transfer

# What glibc's allocator leaves unused between blocks, as a share of what is in use. No rule behind
# it: on the pairs that benchmarks/memory.py marks forecasts are right on average with it; the
# others test it. Another allocator needs another number.
GAPS = 0.2
Trained = frozenset[str] | None  # parameters of the backbone; None: nothing, the head neither


@dataclass(frozen=True)
class Memory:
    """Peak memory of one process, in bytes, beyond what Python and its libraries take.

    Pictures being loaded and the copy of the best weights, which training keeps where validation
    chooses the epoch (as large as `parameters`), come on top.
    """

    # And buffers; twice where something is trained, since the first weights are kept, and once more
    # for each copy of the network that a penalty holds against it.
    parameters: int
    gradients: int  # of what is trained, fp32
    optimiser: int  # what it keeps of each trained parameter: of AdamW two fp32 numbers
    activations: int  # the batch and what autograd saved; of prediction: the batch
    workspace: int  # gradients within one layer, and gaps that the allocator leaves

    @property
    def total(self) -> int:
        return sum(asdict(self).values())

    def as_dict(self) -> dict[str, int]:
        """All fields and the total."""
        return {**asdict(self), "total": self.total}


def forecast(
    classifier: Classifier, transfer: Transfer, *, batch_size: int, precision: str
) -> Memory:
    """Peak memory of training steps; of the most demanding epoch where epochs train differently.

    All of it is there at once when a forward pass ends: the old gradients are freed behind it.
    Where nothing is trained but a probe, it is the forward pass that computes its features.

    Args:
        classifier: with its head; it is not run, and left as it is.
        precision: fp32 or bf16; see graftwork.models.precision.chosen for `auto`.

    Raises:
        UserError: an illegal batch size or precision.
    """
    check_range("batch_size", batch_size, 1)
    check_choice("precision", precision, ("fp32", "bf16"))
    layout, trainable = classifier.layout(), transfer.trainable
    moments = trainable.moments(layout.names, transfer.epochs)
    ways: set[Trained] = {trainable.parameters(layout, moment) for moment in moments}
    found = [
        _forward_pass(classifier, transfer, trained, batch_size, precision == "bf16")
        for trained in ways or {None}
    ]
    return max(found, key=lambda memory: memory.total)


def _forward_pass(
    classifier: Classifier,
    transfer: Transfer,
    trained: Trained,
    batch_size: int,
    bf16: bool,
) -> Memory:
    """Memory while these parameters are trained, or while features are computed."""
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    network = _without_data(classifier, fake)
    network.requires_grad_(False).eval()
    if trained is not None:
        with fake:
            transfer.adapter.attach(network, seed=0)
        network.train_only(trained, transfer.batch_norm)
        network.train()
    fold = trained is not None and transfer.batch_norm == "frozen"
    side = network.input_spec.size
    with fake:  # without data nothing can be compared: these are the pairs that look foldable
        pairs = norms_behind(network) if fold else []
        images = torch.zeros(batch_size, side, side, 3, dtype=torch.uint8)
        labels = torch.zeros(batch_size, dtype=torch.int64)
        with fast_forward(network, fold=pairs, depthwise_fp32=bf16), _watched(network) as seen:
            seen.save(images)
            with _autocast(bf16):
                logits = network(network.normalise(images))
            objective = transfer.objective.bound(Facts.even(logits.shape[1]))
            objective(logits.float(), labels)
    state = _size(*network.parameters(), *network.buffers())
    held = sum(penalty.networks for penalty in transfer.penalties.values())
    gradients = _size(*(p for p in network.parameters() if p.requires_grad))
    copies = 1 if trained is None else 2 + held
    kept = round(moments_of(transfer.optimiser) * gradients)
    known = copies * state + gradients + kept + seen.bytes
    workspace = seen.layer + round(GAPS * (known + seen.layer))
    return Memory(copies * state, gradients, kept, seen.bytes, workspace)


def moments_of(optimiser: Optimiser) -> float:
    """Numbers that it keeps of each trained parameter, as a step on a small matrix shows."""
    matrix = nn.Parameter(torch.ones(32, 32))
    matrix.grad = torch.ones_like(matrix)
    built = optimiser.build([{"params": [matrix], "lr": 1e-3, "weight_decay": 0.0}])
    built.step()
    kept = [value for state in built.state.values() for value in state.values()]
    tensors = [value for value in kept if isinstance(value, torch.Tensor) and value.ndim]
    return _size(*tensors) / matrix.nbytes


@dataclass
class _Seen:
    """What a forward pass leaves for the backward pass, each storage once, and what passes."""

    known: dict[int, Any]  # storages by id; held, so that no id comes twice
    bytes: int = 0
    layer: int = 0  # most of one layer: what enters, what leaves, and its weights

    def save(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if id(storage) not in self.known:
            self.known[id(storage)] = storage
            self.bytes += storage.nbytes()
        return tensor

    def pass_through(self, layer: nn.Module, inputs: Any, output: Any) -> None:
        tensors = [x for x in (*inputs, output) if isinstance(x, torch.Tensor)]
        storages = [x.untyped_storage() for x in (*tensors, *layer.parameters())]
        once = {id(storage): storage.nbytes() for storage in storages}  # work in place leaves one
        self.layer = max(self.layer, sum(once.values()))


@contextmanager
def _watched(network: Classifier) -> Iterator[_Seen]:
    """Parameters and buffers are no activations, though autograd saves them too."""
    state = [t.untyped_storage() for t in (*network.parameters(), *network.buffers())]
    seen = _Seen({id(storage): storage for storage in state})
    layers = [module for module in network.modules() if not any(True for _ in module.children())]
    hooks = [layer.register_forward_hook(seen.pass_through) for layer in layers]
    try:
        with torch.autograd.graph.saved_tensors_hooks(seen.save, lambda tensor: tensor):
            yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _autocast(bf16: bool) -> Any:
    """As Lightning sets it up, which keeps no cache of cast weights."""
    return torch.autocast("cpu", torch.bfloat16, cache_enabled=False) if bf16 else nullcontext()


def _without_data(classifier: Classifier, fake: FakeTensorMode) -> Classifier:
    """A copy whose parameters and buffers have everything but content."""
    tensors = [*classifier.parameters(), *classifier.buffers()]
    return copy.deepcopy(classifier, {id(tensor): fake.from_tensor(tensor) for tensor in tensors})


def _size(*tensors: torch.Tensor) -> int:
    return sum(tensor.nbytes for tensor in tensors)
