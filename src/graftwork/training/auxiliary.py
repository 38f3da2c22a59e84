"""Auxiliary classifiers: further losses half-way through a network, in training alone.

They send a gradient to early layers by a short way (Szegedy et al. 2014; Lee et al. 2015). Nothing
of them is kept: evaluation, stored features and the model folder are those of the plain network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from graftwork.models.auxiliary import new_heads
from graftwork.models.classifier import Classifier


class AuxiliaryHeads(nn.Module):
    """Classifiers on the outputs of modules inside a backbone.

    Their BatchNorm is always trained, also where the backbone's is frozen: they are new, and have
    no statistics to keep.

    Args:
        heads: from a module's output `[B, C, H, W]` to logits `[B, num_classes]`, by the name of
            that module within the backbone.
        weight: of each one's loss.
    """

    def __init__(self, heads: Mapping[str, nn.Module], weight: float) -> None:
        super().__init__()
        self.weight = weight
        self.places = tuple(heads)
        self.heads = nn.ModuleList(heads.values())
        self.active = self.places  # those whose loss counts
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def switch(
        self, groups: Sequence[tuple[str, ...]], trained: Sequence[bool], head: bool
    ) -> None:
        """Trains those with something trained before them; the rest is neither trained nor run.

        Args:
            groups: names of the parameters of each layer group of the backbone, from the stem on.
            trained: whether each group is trained.
            head: whether heads are trained at all.
        """
        active = []
        for place, module in zip(self.places, self.heads, strict=True):
            prefix = f"backbone.{place}."
            inside = [any(name.startswith(prefix) for name in names) for names in groups]
            assert any(inside), f"{place} belongs to no layer group"
            last = len(inside) - 1 - inside[::-1].index(True)
            wanted = head and any(trained[: last + 1])
            module.requires_grad_(wanted)
            active += [place] * wanted
        self.active = tuple(active)

    @contextmanager
    def watching(self, backbone: nn.Module) -> Iterator[dict[str, torch.Tensor]]:
        """What a forward pass inside this context puts out at the active places, by place."""
        maps: dict[str, torch.Tensor] = {}

        def see(place: str, module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            maps[place] = output

        hooks = [
            backbone.get_submodule(place).register_forward_hook(partial(see, place))
            for place in self.active
        ]
        try:
            yield maps
        finally:
            for hook in hooks:
                hook.remove()

    def forward(self, maps: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
        """Logits `[B, num_classes]` of each active one."""
        pairs = zip(self.places, self.heads, strict=True)
        return [head(maps[place]) for place, head in pairs if place in self.active]


@contextmanager
def auxiliary_heads(
    classifier: Classifier, weight: float, num_classes: int, seed: int
) -> Iterator[None]:
    """Within this context the classifier has the auxiliary classifiers of its architecture.

    torch's own generator is left as it was: with and without them, training starts alike.

    Args:
        weight: of each one's loss; 0: none are made.
        num_classes: of the experiment.
        seed: of their random weights.
    """
    if weight:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            classifier.auxiliary = AuxiliaryHeads(
                new_heads(classifier.backbone, num_classes), weight
            )
    try:
        yield
    finally:
        classifier.auxiliary = None
