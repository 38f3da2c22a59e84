"""Which input sizes a network takes: asked of the network by blank pictures."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from graftwork.models.base import LARGEST, SMALLEST, InputSpec

if TYPE_CHECKING:
    from graftwork.models.network.layer_groups import Backbone

# How networks say that a picture is too small, or not of their size.
REFUSALS = (AssertionError, RuntimeError, ValueError)
NEAR = 16  # px; patches are seldom wider, and minimal sizes are found exactly
STRIDE = 32  # px; further away sizes are tried in these steps
FAR = 512  # px; the largest of these


def width_of(backbone: Backbone, pooling: str, spec: InputSpec) -> int:
    """Fits the backbone, without its classifier, to the input size.

    Position embeddings and windows follow the size; convolutions do not care.

    Returns:
        `num_features`, asked of the network by one blank picture: no table of widths can be
        wrong or missing.

    Raises:
        One of REFUSALS: the network cannot take the size.
    """
    import torch

    from graftwork.models.network.classifier import pooled, pooling_of

    _check_patches(backbone, spec.size)
    if spec.size != own_size(backbone) and hasattr(backbone, "set_input_size"):
        backbone.set_input_size(img_size=(spec.size, spec.size))
    blank = torch.zeros(1, spec.channels, spec.size, spec.size)
    was_training = backbone.training
    with torch.no_grad():
        width = pooled(backbone.eval(), pooling_of(backbone, pooling), blank).shape[1]
    backbone.train(was_training)
    return int(width)


def out_of_memory(error: Exception) -> bool:
    """Whether there was no room for the picture: that says nothing of its shape."""
    words = str(error).lower()  # torch has no class of its own for the memory of the processor
    return isinstance(error, MemoryError) or any(
        said in words for said in ("out of memory", "defaultcpuallocator")
    )


def own_size(backbone: Backbone) -> int:
    """Side of the pictures it was made for, in px."""
    return int(backbone.pretrained_cfg["input_size"][-1])


def _check_patches(backbone: Backbone, size: int) -> None:
    """A convolution over patches would silently leave out the pixels of a last, partial patch."""
    from timm.layers.patch_embed import PatchEmbed

    patches = getattr(backbone, "patch_embed", None)
    if isinstance(patches, PatchEmbed) and not patches.dynamic_img_pad:
        side = patches.patch_size[0]
        if size % side:
            raise ValueError(f"its patches are {side} px wide, and sizes are multiples of that")


def nearest_sizes(make: Callable[[], Backbone], pooling: str, spec: InputSpec) -> list[int]:
    """The next smaller and the next larger size that the network takes, where there are such.

    Shapes alone are computed, on a backbone without values.

    Args:
        make: builds the backbone, without its classifier.
        spec: with the size that it refused.
    """
    import torch

    with torch.device("meta"):
        backbone = make()

        def takes(size: int) -> bool:
            tried = copy.deepcopy(backbone) if hasattr(backbone, "set_input_size") else backbone
            try:
                width_of(tried, pooling, replace(spec, size=size))
            except REFUSALS:
                return False
            return True

        near = range(spec.size - NEAR, spec.size + NEAR + 1)
        sizes = {own_size(backbone), *near, *range(STRIDE, FAR + 1, STRIDE)}
        below = _first(takes, sorted((s for s in sizes if SMALLEST <= s < spec.size), reverse=True))
        above = _first(takes, sorted(s for s in sizes if spec.size < s <= LARGEST))
    return [*below, *above]


def _first(takes: Callable[[int], bool], sizes: Iterable[int]) -> list[int]:
    """The first size that is taken; between it and the one before, the one nearest to that."""
    before: int | None = None
    for size in sizes:
        if takes(size):
            step = -1 if before is not None and before > size else 1
            between = range(size if before is None else before + step, size, step)
            return [next((s for s in between if takes(s)), size)]
        before = size
    return []
