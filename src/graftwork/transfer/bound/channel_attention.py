"""How much each channel of a network's maps counts: how much the loss rises without it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn

from graftwork.models.network.folding import forward_of
from graftwork.models.network.group_outputs import blank
from graftwork.process.progress import count_bar
from graftwork.transfer.bound.objective import BoundObjective
from graftwork.transfer.bound.resting import Resting

Batch = tuple[torch.Tensor, torch.Tensor]


def even(source: Resting, places: Sequence[str]) -> dict[str, torch.Tensor]:
    """1 / C for each of C channels, float32 `[C]` by place."""
    outputs = _outputs(source, places, blank(source.network))
    return {
        place: torch.full((_channels(source, found),), 1 / _channels(source, found))
        for place, found in outputs.items()
    }


def channel_attention(
    source: Resting,
    places: Sequence[str],
    pictures: Iterable[Batch],
    objective: BoundObjective,
    sharpness: float,
) -> dict[str, torch.Tensor]:
    """The softmax of `sharpness` times the rises, scaled to mean 0 and deviation 1, `[C]` by place.

    A rise is that of the objective's loss when the channel is set to 0, over these pictures. It is
    computed in fp32: most rises are less than bf16 rounds away.
    """
    rises: dict[str, torch.Tensor] = {}
    count = 0
    for images, labels in pictures:
        for place, rise in _rises(source, places, images, labels, objective).items():
            rises[place] = rises.get(place, 0.0) + rise * len(labels)
        count += len(labels)
    return {place: _softmax(rise / count, sharpness) for place, rise in rises.items()}


def _softmax(rise: torch.Tensor, sharpness: float) -> torch.Tensor:
    spread = rise.std(correction=0)
    scaled = (rise - rise.mean()) / spread if spread > 0 else torch.zeros_like(rise)
    return (sharpness * scaled).softmax(0)


@torch.no_grad()
def _rises(
    source: Resting,
    places: Sequence[str],
    images: torch.Tensor,
    labels: torch.Tensor,
    objective: BoundObjective,
) -> dict[str, torch.Tensor]:
    """What lies before a place is not computed again for each of its channels."""
    network = source.network
    pixels = network.normalise(images)
    outputs = _outputs(source, places, pixels)

    def loss() -> float:
        return float(objective(network(pixels).float(), labels))

    plain = loss()
    rises: dict[str, torch.Tensor] = {}
    total = sum(_channels(source, found) for found in outputs.values())
    with count_bar("attention of channels", total) as seen:
        for place, found in outputs.items():
            earlier = list(outputs)[: list(outputs).index(place)]
            values = []
            with ExitStack() as stack:
                for other in earlier:
                    stack.enter_context(_replaced(network.backbone, other, outputs[other]))
                for channel in range(_channels(source, found)):
                    without = _without(source, found, channel)
                    with _replaced(network.backbone, place, without):
                        values.append(loss() - plain)
                    seen(sum(len(rise) for rise in rises.values()) + len(values))
            rises[place] = torch.tensor(values)
    return rises


def _replaced(backbone: nn.Module, place: str, output: torch.Tensor) -> Any:
    """Within this context the module gives this, whatever it sees."""
    return forward_of(backbone.get_submodule(place), lambda *_: output.clone())


def _without(source: Resting, output: torch.Tensor, channel: int) -> torch.Tensor:
    changed = output.clone()
    changed.select(_channel_axis(source, output), channel).zero_()
    return changed


def _channels(source: Resting, output: torch.Tensor) -> int:
    return output.shape[_channel_axis(source, output)]


def _channel_axis(source: Resting, output: torch.Tensor) -> int:
    """Where channels stand in a module's output: maps of either layout, or tokens."""
    from graftwork.models.network.group_outputs import maps_of

    maps = maps_of(output, source.network.pooling)
    assert maps is not None
    return 1 if output.ndim == 4 and maps.shape == output.shape else output.ndim - 1


def _outputs(source: Resting, places: Sequence[str], pixels: torch.Tensor) -> dict[str, Any]:
    """What the modules at these places put out, in the order of execution."""
    found: dict[str, Any] = {}

    def see(place: str) -> Any:
        return lambda module, inputs, output: found.update({place: output.clone()})

    backbone = source.network.backbone
    hooks = [backbone.get_submodule(place).register_forward_hook(see(place)) for place in places]
    try:
        with torch.no_grad():
            source.network.features(pixels)
    finally:
        for hook in hooks:
            hook.remove()
    return found
