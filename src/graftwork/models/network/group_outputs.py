"""What leaves each layer group of a network: modules to look at, and their outputs as maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isqrt
from typing import Any

import torch
from torch import nn

from graftwork.models.network.classifier import HEAD, Classifier
from graftwork.models.network.pooling import Pooling

Seen = Callable[[str, nn.Module, Any, Any], None]  # name, module, inputs, output
_MIXED = "*"  # owner of a module that holds parameters of several groups


@dataclass(frozen=True)
class GroupOutput:
    """The module whose output leaves a layer group."""

    group: str
    module: nn.Module


def maps_of(output: Any, pooling: Pooling) -> torch.Tensor | None:
    """A module's output as maps `[B, C, H, W]`; None where it has no positions.

    Tokens `[B, tokens, C]` go back on their square grid; class and register tokens are left out.
    """
    if not torch.is_tensor(output):
        return None
    if output.ndim == 4:
        maps = output.permute(0, 3, 1, 2) if _channels_last(output, pooling) else output
        return maps if maps.shape[2] * maps.shape[3] > 1 else None
    if output.ndim == 3:
        tokens = output.shape[1]
        for prefix in (pooling.prefix_tokens, 0):  # some networks add them on their last layers
            side = isqrt(max(tokens - prefix, 0))
            if side > 1 and side * side == tokens - prefix:
                return output[:, prefix:].transpose(1, 2).unflatten(2, (side, side))
    return None


def _channels_last(output: torch.Tensor, pooling: Pooling) -> bool:
    """Layouts change within some networks (PVT's stem); pictures are square, and so are maps."""
    _, first, second, third = output.shape
    if (first == second) != (second == third):
        return first == second
    return pooling.channels_last


def group_outputs(classifier: Classifier) -> list[GroupOutput]:
    """From the stem on, the module that each group of the backbone ends with.

    Found by one blank picture: of all modules of a group that give maps, the one that finishes
    last. Layers without parameters (activations, poolings) belong to the group before them, so
    that a ResNet's stem ends behind its pooling and a ViT's where the positions are added. Groups
    without maps are left out.
    """
    owners = _owners(classifier)
    ends: dict[str, GroupOutput] = {}
    current = ""

    def seen(name: str, module: nn.Module, _: Any, output: Any) -> None:
        nonlocal current
        owner = owners[name] or current
        if owner == _MIXED or maps_of(output, classifier.pooling) is None:
            return
        current = owner
        ends[owner] = GroupOutput(owner, module)

    with torch.no_grad(), watched(classifier.backbone.named_modules(), seen):
        classifier.backbone.forward_features(blank(classifier))
    return [ends[g.name] for g in classifier.layer_groups() if g.name in ends and g.name != HEAD]


def blank(classifier: Classifier) -> torch.Tensor:
    """One normalised picture of zeros, `[1, C, size, size]`."""
    spec = classifier.input_spec
    return torch.zeros(1, spec.channels, spec.size, spec.size)


def _owners(classifier: Classifier) -> dict[str, str]:
    """The group of each module of the backbone; empty where it has no parameters and no group."""
    groups = classifier.layer_groups()[:-1]
    of_parameter = {
        name.removeprefix("backbone."): group.name for group in groups for name in group.parameters
    }
    owners: dict[str, str] = {}
    for name, module in classifier.backbone.named_modules():  # parents come first
        prefix = f"{name}." if name else ""
        found = {of_parameter.get(prefix + leaf, _MIXED) for leaf, _ in module.named_parameters()}
        above = owners.get(name.rpartition(".")[0], "") if name else ""
        inherited = "" if above == _MIXED else above
        owners[name] = inherited if not found else found.pop() if len(found) == 1 else _MIXED
    return owners


@contextmanager
def watched(modules: Iterable[tuple[str, nn.Module]], seen: Seen) -> Iterator[None]:
    """Calls `seen` whenever one of the named modules has finished."""

    def hook(name: str) -> Callable[..., None]:
        return lambda module, inputs, output: seen(name, module, inputs, output)

    handles = [module.register_forward_hook(hook(name)) for name, module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def feature_maps(
    classifier: Classifier, outputs: Sequence[GroupOutput], images: torch.Tensor
) -> dict[str, torch.Tensor]:
    """By group, the maps `[B, C, H, W]` of normalised images, in the order of `outputs`."""
    maps: dict[str, torch.Tensor] = {}

    def seen(group: str, _module: nn.Module, _inputs: Any, output: Any) -> None:
        found = maps_of(output, classifier.pooling)
        assert found is not None, group  # it was one for the blank picture
        maps[group] = found.clone()  # the next layer may work in place

    with torch.no_grad(), watched(((o.group, o.module) for o in outputs), seen):
        classifier(images)
    return {output.group: maps[output.group] for output in outputs}


def strongest(maps: torch.Tensor, count: int) -> list[int]:
    """Channels of `[B, C, H, W]` that vary most over pictures and positions, at most `count`.

    Variation (standard deviation), not the mean: a channel that is high everywhere shows nothing.
    """
    spread = maps.transpose(0, 1).flatten(1).float().std(dim=1)
    return spread.argsort(descending=True, stable=True)[:count].tolist()


def first_filters(classifier: Classifier) -> torch.Tensor | None:
    """Weights `[n, C, h, w]` of the convolutions that look at the pixels themselves.

    A network of several towers has several such layers: their filters follow one another. None
    where the first layer is no convolution.
    """
    picture = blank(classifier)
    layers: list[nn.Conv2d] = []

    def seen(_: str, module: nn.Module, inputs: Any, _output: Any) -> None:
        if isinstance(module, nn.Conv2d) and inputs[0].shape == picture.shape:
            layers.append(module)

    with torch.no_grad(), watched(classifier.backbone.named_modules(), seen):
        classifier.backbone.forward_features(picture)
    sizes = {layer.weight.shape[1:] for layer in layers}
    if len(sizes) != 1:
        return None
    return torch.cat([layer.weight.detach() for layer in layers])
