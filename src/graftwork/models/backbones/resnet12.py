"""ResNet-12, the backbone of few-shot learning (Oreshkin et al. 2018, TADAM; widths as in Lee et
al. 2019, MetaOptNet). Plain dropout stands for MetaOptNet's DropBlock, whose patches of 5 px would
cover the whole of the last feature map."""

from __future__ import annotations

from typing import Any

import torch
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import nn

from graftwork.config.errors import check_range
from graftwork.models.backbones.own_backbone import OwnBackbone

VERSION = 1  # of what its weights compute: see graftwork.models.versions
WIDTHS = (64, 160, 320, 640)
SLOPE = 0.1  # of the leaky ReLU


class ResNet12(OwnBackbone):
    """Four residual blocks of three 3x3 convolutions; each halves the side.

    Args:
        dropout: share of activations set to 0 after each block in training.

    Raises:
        UserError: `dropout` is no share below 1.
    """

    def __init__(
        self,
        dropout: float = 0.0,
        num_classes: int = 64,
        in_chans: int = 3,
        global_pool: str = "avg",
    ) -> None:
        super().__init__()
        check_range("options.dropout", dropout, 0, 0.99)
        self.num_features = WIDTHS[-1]
        pairs = zip((in_chans, *WIDTHS), WIDTHS, strict=False)
        self.layers = nn.Sequential(*(Block(*pair, dropout) for pair in pairs))
        self.feature_info = [
            {"num_chs": width, "reduction": 2 ** (index + 1), "module": f"layers.{index}"}
            for index, width in enumerate(WIDTHS)
        ]
        self.reset_classifier(num_classes, global_pool)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, SLOPE, "fan_out", "leaky_relu")

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        return {"stem": r"^layers\.0", "blocks": r"^layers\.(\d+)"}

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        return self.through(self.layers, x)


class Block(nn.Module):
    """Three convolutions beside a 1x1 one, then leaky ReLU, 2x2 max pooling and dropout."""

    def __init__(self, before: int, after: int, dropout: float) -> None:
        super().__init__()
        act = nn.LeakyReLU(SLOPE, inplace=True)
        self.convs = nn.Sequential(
            *(*_conv(before, after, 3), act),
            *(*_conv(after, after, 3), act),
            *_conv(after, after, 3),
        )
        self.shortcut = nn.Sequential(*_conv(before, after, 1))
        self.act = act
        self.pool = nn.MaxPool2d(2)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.drop(self.pool(self.act(self.convs(x) + self.shortcut(x))))


def _conv(before: int, after: int, kernel: int) -> tuple[nn.Module, nn.Module]:
    convolution = nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False)
    return convolution, nn.BatchNorm2d(after)


default_cfgs = generate_default_cfgs(
    {
        "resnet12": {
            "num_classes": 64,  # of miniImageNet's training classes
            "input_size": (3, 84, 84),
            "pool_size": (5, 5),
            "crop_pct": 0.875,
            "interpolation": "bilinear",
            "mean": IMAGENET_DEFAULT_MEAN,
            "std": IMAGENET_DEFAULT_STD,
            "first_conv": ("layers.0.convs.0", "layers.0.shortcut.0"),
            "classifier": "fc",
        }
    }
)


@register_model
def resnet12(pretrained: bool = False, **kwargs: Any) -> ResNet12:
    """12.4 million parameters; 84 px."""
    maps = {"flatten_sequential": True, "out_indices": (0, 1, 2, 3)}
    return build_model_with_cfg(ResNet12, "resnet12", pretrained, feature_cfg=maps, **kwargs)
