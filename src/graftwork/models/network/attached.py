"""Updates attached to weights: what they are called, and what the weights were called before.

`torch.nn.utils.parametrize` renames a weight that it computes: `conv.weight` becomes
`conv.parametrizations.weight.original`, beside the parameters of what is attached to it. Whoever
talks of a network means the plain names, whatever is attached.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

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


def own_parameters(module: nn.Module) -> Iterator[str]:
    """Plain names of the parameters that a module itself has."""
    yield from (name for name, _ in module.named_parameters(recurse=False))
    attached = getattr(module, LIST, None)
    yield from attached if isinstance(attached, nn.ModuleDict) else ()


def own_modules(module: nn.Module) -> Iterator[nn.Module]:
    """The modules that a module holds, without what is attached to its weights."""
    yield from (child for name, child in module.named_children() if name != LIST)
