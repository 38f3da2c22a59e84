"""Auxiliary classifiers: GoogLeNet's (Szegedy et al. 2014), and the one of timm's inception_v3.

timm's network can hold its own (`aux_logits`), and then returns a pair wherever others return a
tensor, from `forward_features` too and also at inference. So the network is built without it, and
it is made here of timm's own layers.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from timm.layers.conv_bn_act import ConvNormAct
from timm.models.inception_v3 import InceptionAux
from torch import nn
from torch.nn import functional as F

from graftwork.models.backbones.inception import Convolution

SIDE = 17  # of the map that it reads, at 299 px


class AuxiliaryClassifier(nn.Module):
    """A small classifier on a map half-way: pooling, 1x1 convolution, two affine layers.

    The paper pools 5x5 at stride 3, which makes 4x4 of a map of 14x14. Here the map is pooled to
    4x4 whatever its side, as torchvision does, so that any input size goes.

    Args:
        in_channels: of the map `[B, in_channels, H, W]`; logits `[B, num_classes]` come out.
        drop_rate: of the dropout between the affine layers; 0.7 in the paper.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        batch_norm: bool = True,
        drop_rate: float = 0.7,
    ) -> None:
        super().__init__()
        self.conv = Convolution(in_channels, 128, 1, batch_norm=batch_norm)
        self.fc1 = nn.Linear(128 * 4 * 4, 1024)
        self.dropout = nn.Dropout(drop_rate)
        self.fc2 = nn.Linear(1024, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(F.adaptive_avg_pool2d(x, 4)).flatten(1)
        return self.fc2(self.dropout(F.relu(self.fc1(x), inplace=True)))


class InceptionV3Auxiliary(InceptionAux):
    """timm's, at any input size: a smaller map is spread to the side that it was made for."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The map `[B, 768, H, W]` to logits `[B, num_classes]`."""
        return super().forward(x if min(x.shape[-2:]) >= SIDE else F.adaptive_avg_pool2d(x, SIDE))


def auxiliary_head(backbone: Any, num_classes: int) -> InceptionV3Auxiliary:
    """Initialised as timm's own."""
    (channels,) = (info["num_chs"] for info in backbone.feature_info if info["reduction"] == 16)
    convolution: Any = partial(
        ConvNormAct, padding=0, norm_kwargs={"eps": 1e-3}, act_kwargs={"inplace": True}
    )
    head: Any = InceptionV3Auxiliary(channels, num_classes, conv_block=convolution)
    for layer, std in ((head.conv0.conv, 0.1), (head.conv1.conv, 0.1), (head.fc, 0.001)):
        nn.init.trunc_normal_(layer.weight, std=std)
    return head
