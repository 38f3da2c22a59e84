"""Multiply-accumulates of convolutions and affine layers, counted while they run."""

from __future__ import annotations

import torch
from torch import nn


def per_layer(network: nn.Module, channels: int, side: int) -> dict[str, tuple[int, int]]:
    """Elements put out and multiply-accumulates of every layer without children, for one image."""
    found: dict[str, tuple[int, int]] = {}
    hooks = []
    for name, module in network.named_modules():
        if not list(module.children()):

            def see(layer: nn.Module, _: object, out: torch.Tensor, name: str = name) -> None:
                weighted = isinstance(layer, nn.Conv2d | nn.Linear)
                each = layer.weight[0].numel() if weighted else 0
                found[name] = out.numel(), out.numel() * each

            hooks.append(module.register_forward_hook(see))
    with torch.no_grad():
        network.eval()(torch.zeros(1, channels, side, side))
    for hook in hooks:
        hook.remove()
    return found


def total(network: nn.Module, channels: int, side: int) -> int:
    """Of the whole network, for one image of `channels` x `side` x `side`."""
    return sum(macs for _, macs in per_layer(network, channels, side).values())
