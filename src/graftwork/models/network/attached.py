"""Updates attached to weights: what they are called, and what the weights were called before.

`torch.nn.utils.parametrize` renames a weight that it computes: `conv.weight` becomes
`conv.parametrizations.weight.original`, beside the parameters of what is attached to it. Whoever
talks of a network means the plain names, whatever is attached.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch
from torch import nn

LIST = "parametrizations"  # the submodule that torch makes
_ATTACHED = re.compile(rf"\.{LIST}\.(\w+)\.(.+)$")


def plain_name(name: str) -> str:
    """What a parameter, or the weight that an update changes, is called without attachments."""
    return _ATTACHED.sub(r".\1", name)


def is_update(name: str) -> bool:
    """Whether the parameter is part of an attached update."""
    found = _ATTACHED.search(name)
    return found is not None and found[2] != "original"


class OfThePass(nn.Module):
    """A last step in computing a weight that is of a faster forward pass, not of the weight."""


def plain_state(network: nn.Module) -> dict[str, torch.Tensor]:
    """The state dict that the network would have if all updates were merged now; what nothing is
    attached to is not copied."""
    found = {}
    for name, tensor in network.state_dict().items():
        if is_update(name):
            continue
        if (plain := plain_name(name)) != name:
            steps = network.get_submodule(name.rpartition(".")[0])
            with torch.no_grad():
                for step in steps.children():
                    tensor = tensor if isinstance(step, OfThePass) else step(tensor)
        found[plain] = tensor
    return found


def own_parameters(module: nn.Module) -> Iterator[str]:
    """Plain names of the parameters that a module itself has."""
    yield from (name for name, _ in module.named_parameters(recurse=False))
    attached = getattr(module, LIST, None)
    yield from attached if isinstance(attached, nn.ModuleDict) else ()


def own_modules(module: nn.Module) -> Iterator[nn.Module]:
    """The modules that a module holds, without what is attached to its weights."""
    yield from (child for name, child in module.named_children() if name != LIST)
