"""Forward passes that train faster and compute the same. All of it is undone after training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

from graftwork.models.network.folding import Forward, Pair, folding, forward_of


@contextmanager
def fast_forward(
    network: nn.Module, *, fold: Sequence[Pair], depthwise_fp32: bool
) -> Iterator[None]:
    """Within this context the network's forward pass is a faster one.

    Args:
        fold: pairs whose BatchNorm is frozen; see graftwork.models.network.folding.
        depthwise_fp32: depthwise convolutions that are trained, or trained through, leave autocast
            on the CPU. They are bound by memory, and oneDNN's backward pass for them in bf16 takes
            four to five times as long; a forward pass alone takes half as long in bf16.
    """
    with ExitStack() as stack:
        for module in _depthwise(network) if depthwise_fp32 else []:
            stack.enter_context(forward_of(module, _in_fp32(module)))
        stack.enter_context(folding(fold))
        yield


def _depthwise(network: nn.Module) -> list[nn.Conv2d]:
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    return [conv for conv in convolutions if 1 < conv.groups == conv.in_channels]


def _in_fp32(convolution: nn.Conv2d) -> Forward:
    """In float32 where a backward pass will come by."""
    plain = convolution.forward

    def forward(images: torch.Tensor) -> torch.Tensor:
        gradient = images.requires_grad or convolution.weight.requires_grad
        if not (gradient and torch.is_grad_enabled()):
            return plain(images)
        with torch.autocast(images.device.type, enabled=False):
            return plain(images.float())

    return forward
