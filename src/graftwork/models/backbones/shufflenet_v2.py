"""ShuffleNet V2 (Ma et al., "Practical Guidelines for Efficient CNN Architecture Design", 2018).

Modules go by torchvision's names, so that its weights files load as they are.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import nn

from graftwork.models.backbones.own_backbone import OwnBackbone

VERSION = 1  # of what its weights compute: see graftwork.models.versions
REPEATS = (4, 8, 4)  # units of each stage
WIDTHS = {  # channels of stem, stages and the last convolution, by variant (table 5)
    "shufflenet_v2_x0_5": (24, 48, 96, 192, 1024),
    "shufflenet_v2_x1_0": (24, 116, 232, 464, 1024),
    "shufflenet_v2_x1_5": (24, 176, 352, 704, 1024),
    "shufflenet_v2_x2_0": (24, 244, 488, 976, 2048),
}
STAGES = ("stage2", "stage3", "stage4")


class ShuffleNetV2(OwnBackbone):
    """Stem, three stages of units that shuffle their channels, and a last 1x1 convolution.

    Args:
        widths: channels of the stem, of each stage and of the last convolution.
    """

    def __init__(
        self,
        widths: tuple[int, int, int, int, int],
        num_classes: int = 1000,
        in_chans: int = 3,
        global_pool: str = "avg",
    ) -> None:
        super().__init__()
        self.num_features = widths[-1]
        self.conv1 = nn.Sequential(*_conv(in_chans, widths[0], 3, stride=2), nn.ReLU(inplace=True))
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        for name, before, after, units in zip(STAGES, widths, widths[1:-1], REPEATS, strict=False):
            rest = (Unit(after, after, 1) for _ in range(units - 1))
            self.add_module(name, nn.Sequential(Unit(before, after, 2), *rest))
        self.conv5 = nn.Sequential(*_conv(widths[-2], widths[-1], 1), nn.ReLU(inplace=True))
        self.feature_info = [
            {"num_chs": width, "reduction": reduction, "module": module}
            for width, reduction, module in zip(
                (*widths[:-2], widths[-1]), (2, 8, 16, 32), ("conv1", *STAGES[:2], "conv5"),
                strict=True,
            )
        ]  # fmt: skip
        self.reset_classifier(num_classes, global_pool)

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        units = r"^stage(\d+)" if coarse else r"^stage(\d+)\.(\d+)"
        return {"stem": r"^conv1", "blocks": [(units, None), (r"^conv5", (99999,))]}

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        x = self.maxpool(self.conv1(x))
        for name in STAGES:
            x = self.through(self.get_submodule(name).children(), x)
        return self.conv5(x)


class Unit(nn.Module):
    """Half of the channels pass, the other half are convolved, and both are shuffled together.

    A unit that halves the side convolves all channels in both branches, and so widens.
    """

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        half = after // 2
        self.splits = stride == 1
        taken = half if self.splits else before
        relu = nn.ReLU(inplace=True)
        self.branch1 = nn.Sequential()
        if not self.splits:
            self.branch1 = nn.Sequential(
                *_conv(before, before, 3, stride, depthwise=True), *_conv(before, half, 1), relu
            )
        self.branch2 = nn.Sequential(
            *(*_conv(taken, half, 1), relu),
            *_conv(half, half, 3, stride, depthwise=True),
            *(*_conv(half, half, 1), relu),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = x.chunk(2, 1) if self.splits else (self.branch1(x), x)
        both = torch.stack((left, self.branch2(right)), 2)  # pairs: channel i of one, of the other
        return both.flatten(1, 2)


def _conv(
    before: int, after: int, kernel: int, stride: int = 1, depthwise: bool = False
) -> tuple[nn.Module, nn.Module]:
    groups = before if depthwise else 1
    convolution = nn.Conv2d(
        before, after, kernel, stride, padding=kernel // 2, groups=groups, bias=False
    )
    return convolution, nn.BatchNorm2d(after)


def _cfg() -> dict[str, Any]:
    return {
        "num_classes": 1000,
        "input_size": (3, 224, 224),
        "pool_size": (7, 7),
        "crop_pct": 0.875,
        "interpolation": "bilinear",
        "mean": IMAGENET_DEFAULT_MEAN,
        "std": IMAGENET_DEFAULT_STD,
        "first_conv": "conv1.0",
        "classifier": "fc",
    }


default_cfgs = generate_default_cfgs({name: _cfg() for name in WIDTHS})


def _build(variant: str, pretrained: bool, **kwargs: Any) -> ShuffleNetV2:
    maps = {"out_indices": (0, 1, 2, 3)}
    arguments = {"widths": WIDTHS[variant], **kwargs}
    return build_model_with_cfg(ShuffleNetV2, variant, pretrained, feature_cfg=maps, **arguments)


@register_model
def shufflenet_v2_x0_5(pretrained: bool = False, **kwargs: Any) -> ShuffleNetV2:
    """1.4 million parameters; 60.3 % ImageNet top-1 in the paper."""
    return _build("shufflenet_v2_x0_5", pretrained, **kwargs)


@register_model
def shufflenet_v2_x1_0(pretrained: bool = False, **kwargs: Any) -> ShuffleNetV2:
    """2.3 million parameters; 69.4 % ImageNet top-1 in the paper."""
    return _build("shufflenet_v2_x1_0", pretrained, **kwargs)


@register_model
def shufflenet_v2_x1_5(pretrained: bool = False, **kwargs: Any) -> ShuffleNetV2:
    """3.5 million parameters; 72.6 % ImageNet top-1 in the paper."""
    return _build("shufflenet_v2_x1_5", pretrained, **kwargs)


@register_model
def shufflenet_v2_x2_0(pretrained: bool = False, **kwargs: Any) -> ShuffleNetV2:
    """7.4 million parameters; 74.9 % ImageNet top-1 in the paper."""
    return _build("shufflenet_v2_x2_0", pretrained, **kwargs)
