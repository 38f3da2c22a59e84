"""The auxiliary classifier of timm's inception_v3.

timm's network can hold it (`aux_logits`), and then returns a pair wherever others return a tensor,
from `forward_features` too and also at inference. So the network is built without it, and it is
made here of timm's own layers.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from timm.layers.conv_bn_act import ConvNormAct
from timm.models.inception_v3 import InceptionAux
from torch import nn
from torch.nn import functional as F

SIDE = 17  # of the map that it reads, at 299 px


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
