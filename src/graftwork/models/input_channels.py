"""Grey pictures for a network that was trained on colour, and the other way round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from graftwork.models.network.layer_groups import Backbone


def levels(values: Sequence[float], channels: int) -> tuple[float, ...]:
    """Means (or deviations) of so many channels: the network's own, or their average for each."""
    return tuple(values) if len(values) == channels else (fmean(values),) * channels


def fit_first_convolution(
    backbone: Backbone, tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The tensors of a file, its first convolution refitted to the backbone's input channels.

    Colour to grey sums the weights over the channels, grey to colour shares them out among three:
    on a picture whose channels are all the same the network then computes what it did before
    (timm's `adapt_input_conv`). What cannot be refitted is left, and fails the check of shapes.
    """
    from timm.models import adapt_input_conv

    fitted = dict(tensors)
    for layer in _first_convolutions(backbone):
        name = f"{layer}.weight"
        if name not in fitted or name not in expected or fitted[name].ndim != 4:
            continue
        has, wants = fitted[name].shape[1], expected[name].shape[1]
        colours = has if has in (1, 3) else backbone.pretrained_cfg["input_size"][0]
        blocks, rest = divmod(has, colours)  # more than 1 where the stem folds in neighbours
        if has != wants and not rest and wants in (blocks, 3 * blocks):
            fitted[name] = adapt_input_conv(wants // blocks, fitted[name], colours)
    return fitted


def _first_convolutions(backbone: Backbone) -> tuple[str, ...]:
    names = backbone.pretrained_cfg.get("first_conv") or ()
    return (names,) if isinstance(names, str) else tuple(names)
