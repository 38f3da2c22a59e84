"""DELTA at work: feature maps beside those of the first weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from graftwork.models.network.classifier import Classifier
from graftwork.models.network.group_outputs import group_outputs, maps_of
from graftwork.models.network.pooling import Pooling
from graftwork.transfer.bound.penalty import BoundPenalty, Outputs
from graftwork.transfer.bound.resting import Resting
from graftwork.transfer.parts import Moment

Maps = dict[str, torch.Tensor]


def last_places(classifier: Classifier, count: int) -> list[str]:
    """Names within the backbone of the modules that the last layer groups with maps end with."""
    was_training = classifier.training
    ends = [found.module for found in group_outputs(classifier.eval())]
    classifier.train(was_training)
    names = {module: name for name, module in classifier.backbone.named_modules()}
    return [names[module] for module in ends][-count:]


class MapsOfTheStart(BoundPenalty):
    """`1/2 sum_layers sum_c attention_c C ||map_c - first map_c||^2 / (H W)`, the mean over the
    pictures of a batch (Li et al. 2019, equation 5).

    Args:
        source: the network with the first weights.
        attention: of each channel `[C]`, by the place of its maps within the backbone.
    """

    def __init__(
        self, source: Resting, attention: Mapping[str, torch.Tensor], weight: float
    ) -> None:
        super().__init__(weight)
        self.source = source
        self.places = tuple(attention)
        for index, values in enumerate(attention.values()):
            self.register_buffer(f"attention_{index}", values, persistent=False)
        self.active = self.places
        self.maps: Maps = {}

    def freeze(self, groups: Sequence[tuple[str, ...]], trained: Sequence[bool]) -> None:
        """Maps with nothing trained before them are the first ones: they are not compared."""
        active = []
        for place in self.places:
            inside = [any(_within(place, name) for name in names) for names in groups]
            last = len(inside) - 1 - inside[::-1].index(True) if any(inside) else len(inside) - 1
            active += [place] * any(trained[: last + 1])
        self.active = tuple(active)

    def watching(self, backbone: nn.Module) -> Any:
        return kept_maps(backbone, self.active, self.source.network.pooling, self.maps)

    def forward(self, outputs: Outputs, moment: Moment) -> torch.Tensor | None:
        if not self.active:
            return None
        first: Maps = {}
        network = self.source.network
        with torch.no_grad(), kept_maps(network.backbone, self.active, network.pooling, first):
            network.features(outputs.images)
        each = [self._apart(place, self.maps.pop(place), first[place]) for place in self.active]
        return torch.stack(each).sum()

    def _apart(self, place: str, maps: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
        attention = self.get_buffer(f"attention_{self.places.index(place)}")
        apart = (maps.float() - first.float()).square().mean((2, 3))  # [B, C]
        return (apart * attention).sum(1).mean() * len(attention) / 2


def _within(place: str, name: str) -> bool:
    return name.startswith(f"backbone.{place}.")


@contextmanager
def kept_maps(
    backbone: nn.Module, places: Sequence[str], pooling: Pooling, maps: Maps
) -> Iterator[None]:
    """A forward pass inside this context leaves maps `[B, C, H, W]`, by place, in `maps`."""

    def see(place: str, module: nn.Module, inputs: Any, output: Any) -> None:
        found = maps_of(output, pooling)
        assert found is not None, place
        maps[place] = found.clone()  # the next layer may work in place

    hooks = [
        backbone.get_submodule(place).register_forward_hook(partial(see, place)) for place in places
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
