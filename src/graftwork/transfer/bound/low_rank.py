"""Low-rank updates at work (LoRA, Hu et al. 2022)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from graftwork.config.errors import nearest_first, unknown

if TYPE_CHECKING:
    from graftwork.models.network.classifier import Classifier
    from graftwork.models.network.layer_groups import Backbone

KINDS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
NEAREST = 8  # names that an error lists


class Update(nn.Module):
    """W + scale * up @ down, of a weight `[out, ...]` flattened to `[out, in * k * k]`.

    `up` begins with zeros, so that nothing is changed yet; `down` as torch begins a linear layer:
    uniform within 1 / sqrt(in * k * k) (Kaiming with a = sqrt(5)), as in the authors' code.

    Args:
        weight: whose shape decides; a rank beyond its sides adds nothing and is cut.
        random: what `down` is drawn from.
    """

    def __init__(
        self, weight: torch.Tensor, rank: int, scale: float, random: torch.Generator
    ) -> None:
        super().__init__()
        out, inside = weight.shape[0], weight[0].numel()
        rank, bound = min(rank, out, inside), 1 / math.sqrt(inside)
        drawn = torch.rand(rank, inside, generator=random) * (2 * bound) - bound
        self.scale = scale
        self.up = nn.Parameter(torch.zeros(out, rank, device=weight.device))
        self.down = nn.Parameter(drawn.to(weight.device))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """In float32 whatever the precision of the pass: what is merged is what was trained."""
        device = "cpu" if weight.is_meta else weight.device.type
        with torch.autocast(device, enabled=False):
            return weight + self.scale * (self.up @ self.down).view_as(weight)


def attach(
    classifier: Classifier, patterns: Sequence[str], *, rank: int, scale: float, seed: int
) -> None:
    """Gives each chosen layer of the backbone an update, and holds all else of it.

    Raises:
        UserError: a pattern matches no linear layer and no convolution.
    """
    random = torch.Generator().manual_seed(seed)
    for layer in chosen(classifier.backbone, patterns):
        update = Update(layer.weight, rank, scale, random)
        parametrize.register_parametrization(layer, "weight", update)
    classifier.hold(True)


@torch.no_grad()
def merge(classifier: Classifier) -> None:
    """The weights with their updates become plain weights, under their plain names and in order."""
    for module in classifier.backbone.modules():
        if isinstance(module, KINDS) and parametrize.is_parametrized(module, "weight"):
            layer: Any = module
            merged = layer.weight.clone()
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
            layer.weight.copy_(merged)  # as it lay in memory
            bias = layer.bias
            del layer.bias  # comes after the weight, as before
            layer.register_parameter("bias", bias)
    classifier.hold(False)


def chosen(backbone: Backbone, patterns: Sequence[str]) -> Iterator[Any]:
    """The linear layers and convolutions whose name, or that of a module around them, matches.

    Raises:
        UserError: as of `attach`.
    """
    layers = [(name, layer) for name, layer in backbone.named_modules() if isinstance(layer, KINDS)]
    for pattern in patterns:
        if not any(_matches(pattern, name) for name, _ in layers):
            names = nearest_first(pattern, {path for name, _ in layers for path in _paths(name)})
            remedy = f"(The nearest of {len(layers)} layers and the modules that hold them.)"
            raise unknown("transfer.adapter.layers", pattern, names[:NEAREST], remedy)
    for name, layer in layers:
        if any(_matches(pattern, name) for pattern in patterns):
            yield layer


def _matches(pattern: str, name: str) -> bool:
    return any(fnmatchcase(path, pattern) for path in _paths(name))


def _paths(name: str) -> list[str]:
    """`blocks.0.attn.qkv`: `blocks`, `blocks.0`, `blocks.0.attn` and itself."""
    parts = name.split(".")
    return [".".join(parts[: depth + 1]) for depth in range(len(parts))]
