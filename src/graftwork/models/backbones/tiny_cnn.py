"""tiny_cnn: a convolutional network small enough for tests, with everything a large one has."""

from __future__ import annotations

from typing import Any

import torch
from timm.models import generate_default_cfgs, register_model
from torch import nn

from graftwork.models.backbones.staged import StagedNetwork, built

VERSION = 1  # of what its weights compute: see graftwork.models.versions
WIDTHS = (16, 32, 64)  # channels of the stem and of each stage


class TinyCnn(StagedNetwork):
    """A stem and two stages of one block each."""

    def __init__(self, in_chans: int = 3, **arguments: Any) -> None:
        stem, *stages = (
            Block(before, after) for before, after in zip((in_chans, *WIDTHS), WIDTHS, strict=False)
        )
        super().__init__(stem, stages, channels=WIDTHS, reductions=(2, 4, 8), **arguments)


class Block(nn.Module):
    """Convolution, BatchNorm and ReLU; halves the side."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(after)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.bn(self.conv(x)))


default_cfgs = generate_default_cfgs(
    {
        "tiny_cnn": {
            "num_classes": 10,
            "input_size": (3, 32, 32),
            "pool_size": (4, 4),
            "crop_pct": 0.875,
            "interpolation": "bilinear",
            "mean": (0.5, 0.5, 0.5),
            "std": (0.5, 0.5, 0.5),
            "first_conv": "stem.conv",
            "classifier": "fc",
        }
    }
)


@register_model
def tiny_cnn(pretrained: bool = False, **arguments: Any) -> TinyCnn:
    """About 24 thousand parameters; 32 px."""
    return built(TinyCnn, "tiny_cnn", pretrained, maps=3, **arguments)
