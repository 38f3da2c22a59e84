"""A network in parts: each process keeps a share of every weight, of its gradient and of what the
optimiser remembers, and has a block whole only while it computes (fully sharded data parallel: Zhao
et al. 2023, Proceedings of the VLDB Endowment 16(12); torch's `fully_shard`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from graftwork.models.network.classifier import Classifier


def shard(classifier: Classifier, mesh: Any) -> None:
    """Parts the network in place, for good: its parameters become shares of themselves.

    Args:
        mesh: torch's DeviceMesh of the processes, of one dimension.
    """
    from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

    if isinstance(classifier, FSDPModule):
        return
    for parameter in classifier.parameters():
        parameter.data = parameter.data.contiguous()  # shares of channels_last ones there are not
    for block in [*_blocks(classifier.backbone), classifier.head]:
        if next(block.parameters(), None) is not None:
            fully_shard(block, mesh=mesh)
    fully_shard(classifier, mesh=mesh, reshard_after_forward=True)  # all that is in no block
    register_fsdp_forward_method(classifier, "features")  # training enters by it


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """What stands in a sequence: the outermost modules that are called as such."""
    for child in module.children():
        if isinstance(module, nn.Sequential) and not isinstance(child, nn.Sequential):
            yield child
        else:
            yield from _blocks(child)


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor, put together of all processes' shares where it has some; all of them call it."""
    put_together: Any = getattr(tensor, "full_tensor", None)  # of a DTensor
    return put_together() if put_together else tensor


def whole_state(classifier: Classifier) -> dict[str, torch.Tensor]:
    """Weights and buffers of a network in parts, on the CPU."""
    return {name: whole(tensor).cpu() for name, tensor in classifier.state_dict().items()}
