"""Auxiliary classifiers at work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from graftwork.models.auxiliary_places import PLACES
from graftwork.models.network.layer_groups import Backbone
from graftwork.transfer.bound.objective import BoundObjective
from graftwork.transfer.bound.penalty import BoundPenalty, Outputs
from graftwork.transfer.parts import Moment


def new_heads(backbone: Backbone, num_classes: int) -> dict[str, nn.Module]:
    """Auxiliary classifiers from random weights, by the module of the backbone that each reads.

    Random parts come from torch's global generator.
    """
    if hasattr(backbone, "auxiliary_heads"):
        return dict(backbone.auxiliary_heads(num_classes))
    from graftwork.models.backbones.auxiliary_classifiers import auxiliary_head

    (place,) = PLACES["inception_v3"].values()
    return {place: auxiliary_head(backbone, num_classes)}


class AuxiliaryHeads(BoundPenalty):
    """Classifiers on the outputs of modules inside a backbone; the penalty is the sum of their
    losses (Szegedy et al. 2014, section 5).

    Their BatchNorm is always trained, also where the backbone's is frozen: they are new, and have
    no statistics to keep.

    Args:
        heads: from a module's output `[B, C, H, W]` to logits `[B, num_classes]`, by the name of
            that module within the backbone.
        weight: of each one's loss.
        objective: what gives it.
    """

    def __init__(
        self, heads: Mapping[str, nn.Module], weight: float, objective: BoundObjective
    ) -> None:
        super().__init__(weight)
        self.objective = objective
        self.places = tuple(heads)
        self.heads = nn.ModuleList(heads.values())
        self.active = self.places  # those whose loss counts
        self.maps: dict[str, torch.Tensor] = {}  # what the latest pass put out at active places
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def freeze(self, groups: Sequence[tuple[str, ...]], trained: Sequence[bool]) -> None:
        """Trains those with something trained before them; the rest is neither trained nor run."""
        active = []
        for place, module in zip(self.places, self.heads, strict=True):
            prefix = f"backbone.{place}."
            inside = [any(name.startswith(prefix) for name in names) for names in groups]
            assert any(inside), f"{place} belongs to no layer group"
            last = len(inside) - 1 - inside[::-1].index(True)
            wanted = any(trained[: last + 1])
            module.requires_grad_(wanted)
            active += [place] * wanted
        self.active = tuple(active)

    @contextmanager
    def watching(self, backbone: nn.Module) -> Iterator[None]:
        """A forward pass inside this context leaves the maps at active places here."""

        def see(place: str, module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            self.maps[place] = output

        hooks = [
            backbone.get_submodule(place).register_forward_hook(partial(see, place))
            for place in self.active
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def forward(self, outputs: Outputs, moment: Moment) -> torch.Tensor | None:
        if not self.active:
            return None
        pairs = zip(self.places, self.heads, strict=True)
        losses = [
            self.objective(head(self.maps.pop(place)).float(), outputs.targets)
            for place, head in pairs
            if place in self.active
        ]
        return torch.stack(losses).sum()
