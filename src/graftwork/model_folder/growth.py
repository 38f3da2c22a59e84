"""How large a network may become that somebody else's contract describes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from graftwork.config.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from torch.nn import Module, Parameter

TIMES = 4  # what is built and taken away again: classifiers of ImageNet, auxiliary ones
MORE_TENSORS, MORE_VALUES = 1000, 2**26


@contextmanager
def no_larger_than(tensors: Mapping[str, np.ndarray]) -> Iterator[None]:
    """Networks that are built inside grow little beyond what these tensors can fill.

    Raises:
        UserError: as soon as one does, before its values are written.
    """
    from torch.nn.modules.module import register_module_parameter_registration_hook

    count = TIMES * len(tensors) + MORE_TENSORS
    values = TIMES * sum(tensor.size for tensor in tensors.values()) + MORE_VALUES

    def registered(module: Module, name: str, parameter: Parameter | None) -> None:
        nonlocal count, values
        if parameter is not None:
            count, values = count - 1, values - parameter.numel()
        if min(count, values) < 0:
            raise UserError("it is larger than the weights beside it can fill")

    hook = register_module_parameter_registration_hook(registered)
    try:
        yield
    finally:
        hook.remove()
