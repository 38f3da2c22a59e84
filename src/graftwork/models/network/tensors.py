"""The tensors of a network by name (`backbone.*`, `head.*`), and as the bytes of a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from graftwork.models.network.classifier import Classifier


def tensors_of(classifier: Classifier) -> dict[str, np.ndarray]:
    """Parameters and buffers by name, in their plain memory layout."""
    state = classifier.state_dict().items()
    return {name: np.ascontiguousarray(tensor.detach().cpu().numpy()) for name, tensor in state}


def part(tensors: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The tensors whose names begin so."""
    return {name: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def within(tensors: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Those, without the beginning of their names: as the module there calls them."""
    return {name.removeprefix(prefix): tensor for name, tensor in part(tensors, prefix).items()}


def placed(tensors: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The tensors of a module, named as in the network that has it there."""
    return {prefix + name: tensor for name, tensor in tensors.items()}


def serialised(tensors: Mapping[str, np.ndarray], about: dict[str, str] | None = None) -> bytes:
    """The bytes of a safetensors file: the same for the same tensors, in whatever order.

    Args:
        about: the file's metadata.
    """
    from safetensors.numpy import save

    ordered = {name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}
    return bytes(save(ordered, about))
