"""The layers of a network with what each costs, found by running it on shapes alone.

One forward pass on torch's meta device, which has shapes but no numbers: a network of billions of
parameters takes no memory and a fraction of a second.

What counts the multiply-accumulates (MAC): torch's own table of formulas, one for each operation
(`torch.utils.flop_counter.flop_registry`), halved, since it counts a MAC as two operations. Tried
on AlexNet, GoogLeNet's stem, VGG-16, ResNets, grouped and depthwise convolutions and a vision
transformer against sums by hand, it is exact, with one exception: on a CPU it knows no formula for
fused attention and passes it over in silence (`FlopCounterMode` gives ViT-Ti/16 1,075 M MAC instead
of 1,254 M). On the meta device attention comes as its matrix products and is counted; for networks
that have to run on the CPU the missing formula is added below. Counters that hook modules (such as
torchinfo) see a layer's class, not what it computes: attention, and whatever a forward method does
by functions, is missing from them altogether. So no further library is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode  # no public name
from torch.utils.flop_counter import flop_registry

from graftwork.profiling.receptive_field import POOLINGS, Field, of_input, of_output

aten = torch.ops.aten
FORMULAS = {
    **flop_registry,
    aten._scaled_dot_product_flash_attention_for_cpu: flop_registry[
        aten._scaled_dot_product_flash_attention
    ],
}
BYTES = 4  # of an fp32 number


@dataclass(frozen=True)
class Layer:
    """One row of the resource table.

    A layer is what holds parameters, multiplies or pools. Activation functions, dropout, sums and
    concatenations are none: they are free next to these, and often done in place.
    """

    name: str  # of the module, or of a parameter that the network holds outside any layer
    kind: str  # class of the module, or Parameter
    output: tuple[int, ...]  # without the batch; () for what was not run
    activation_kib: float  # of the output, fp32, one image
    parameters: int  # its own, each counted once
    macs: int  # of one image
    receptive_field: int | None  # px of the longer side, theoretical; None: the whole input


@dataclass(frozen=True)
class Output:
    """What a module returned."""

    shape: tuple[int, ...]  # without the batch
    receptive_field: int | None  # px; None: the whole input


def layers(network: nn.Module, input_shape: tuple[int, int, int]) -> list[Layer]:
    """Every layer in the order of its first run, then those that evaluation leaves out.

    Args:
        network: from `[B, C, H, W]`, on any device; neither changed nor copied.
        input_shape: (C, H, W).
    """
    return examined(network, input_shape)[0]


def examined(
    network: nn.Module, input_shape: tuple[int, int, int]
) -> tuple[list[Layer], dict[str, Output]]:
    """The layers, and what each module returned, whatever it consists of, by its name."""
    try:
        trace = _traced(network, input_shape, "meta")
    except (NotImplementedError, RuntimeError):  # it asks for a value, which meta tensors lack
        trace = _traced(network, input_shape, None)
    return _table(network, trace), trace.outputs


@dataclass
class _Row:
    shape: tuple[int, ...] = ()
    macs: int = 0
    field: Field | None = None


@dataclass
class _Trace:
    """What was seen of each module, by name, and of each tensor."""

    rows: dict[str, _Row] = field(default_factory=dict)
    outputs: dict[str, Output] = field(default_factory=dict)
    running: list[str] = field(default_factory=list)  # the modules that are running, inner last
    # By id; the tensors are held, so that no id comes twice (on the meta device they are empty).
    fields: dict[int, tuple[torch.Tensor, Field]] = field(default_factory=dict)

    def see(self, tensor: torch.Tensor, found: Field) -> None:
        self.fields[id(tensor)] = (tensor, found)

    def field_of(self, tensor: torch.Tensor) -> Field | None:
        return self.fields.get(id(tensor), (None, None))[1]

    def row(self) -> _Row:
        return self.rows.setdefault(self.running[-1] if self.running else "", _Row())


def _traced(network: nn.Module, input_shape: tuple[int, int, int], device: str | None) -> _Trace:
    state = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    if device:
        state = {name: torch.empty_like(t, device=device) for name, t in state.items()}
    elsewhere = next((t.device for t in state.values()), torch.device("cpu"))
    images = torch.zeros(1, *input_shape, device=elsewhere)
    trace = _Trace()
    modes = {module: module.training for module in network.modules()}
    try:
        with torch.no_grad(), _named(network.eval(), trace), _Watch(trace):
            trace.see(images, of_input(images))
            torch.func.functional_call(network, state, (images,))
    finally:
        for module, mode in modes.items():
            module.training = mode
    return trace


@contextmanager
def _named(network: nn.Module, trace: _Trace) -> Iterator[None]:
    """Keeps `trace.running` while the network runs; a layer's row takes the module's own output."""

    def leave(name: str, module: nn.Module, output: Any) -> None:
        first = next(_tensors(output), None)
        if first is not None:
            shape, found = tuple(first.shape), trace.field_of(first)
            trace.outputs[name] = Output(_of_one(shape), found.extent if found else None)
            if _is_layer(module) and (name in trace.rows or _own(module)):
                row = trace.row()
                row.shape, row.field = shape, found
        trace.running.pop()

    handles = []
    for name, module in network.named_modules():
        before = module.register_forward_pre_hook(lambda *_, n=name: trace.running.append(n))
        after = module.register_forward_hook(lambda m, _, out, n=name: leave(n, m, out))
        handles += [before, after]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Watch(TorchDispatchMode):
    """Counts each operation for the innermost running module and follows the receptive field."""

    def __init__(self, trace: _Trace) -> None:
        super().__init__()
        self._trace = trace

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        op = func.overloadpacket
        if op not in FORMULAS:
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        given = list(_tensors((args, kwargs)))
        seen = [found for t in given if (found := self._trace.field_of(t))]
        before = tuple(given[0].shape) if given else ()
        out = func(*args, **kwargs)
        results = list(_tensors(out))
        if results:
            found = of_output(op, args, results[0], seen) if seen else None
            if found:
                for tensor in results:
                    self._trace.see(tensor, found)
            macs = FORMULAS[op](*args, **kwargs, out_val=out) // 2 if op in FORMULAS else 0
            if macs or (found and op in POOLINGS and before != tuple(results[0].shape)):
                row = self._trace.row()
                row.macs += macs
                row.shape, row.field = tuple(results[0].shape), found
        return out


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    """Those in nested arguments or results, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _tensors(part)


def _of_one(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[1:] if len(shape) > 1 and shape[0] == 1 else shape


def _own(module: nn.Module) -> bool:
    return any(True for _ in module.parameters(recurse=False))


def _is_layer(module: nn.Module) -> bool:
    """Whether no part of it holds parameters (a BatchNorm may have its activation inside)."""
    return not any(_own(part) for part in module.modules() if part is not module)


def _table(network: nn.Module, trace: _Trace) -> list[Layer]:
    modules = dict(network.named_modules())
    sizes = {name: p.numel() for name, p in network.named_parameters()}  # a shared one once
    owned: dict[str, list[str]] = {}
    for name in sizes:
        owned.setdefault(name.rpartition(".")[0], []).append(name)
    rows = []
    for name, row in trace.rows.items():
        parameters = sum(sizes[parameter] for parameter in owned.pop(name, []))
        rows.append(_layer(name or type(network).__name__, modules[name], row, parameters))
    for name, left in owned.items():
        if not _is_layer(modules[name]):
            rows += [Layer(p, "Parameter", (), 0.0, sizes[p], 0, None) for p in left]
        else:
            rows.append(_layer(name, modules[name], _Row(), sum(sizes[p] for p in left)))
    return rows


def _layer(name: str, module: nn.Module, row: _Row, parameters: int) -> Layer:
    return Layer(
        name=name,
        kind=type(module).__name__,
        output=_of_one(row.shape),
        activation_kib=prod(row.shape) * BYTES / 1024 if row.shape else 0.0,
        parameters=parameters,
        macs=row.macs,
        receptive_field=row.field.extent if row.field else None,
    )
