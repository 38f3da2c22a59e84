"""Plain and residual networks for CIFAR's 32 px (He et al., "Deep Residual Learning", 2015, 4.2).

The pair shows what residual connections are for: two networks alike in all but them.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import nn
from torch.nn import functional as F

from graftwork.models.backbones.own_backbone import OwnBackbone
from graftwork.models.cifar_depth import blocks_per_stage

VERSION = 1  # of what its weights compute: see graftwork.models.versions
STAGES = ("layer1", "layer2", "layer3")


class CifarNet(OwnBackbone):
    """A stem of one 3x3 convolution and three stages of n blocks: 6n + 2 layers with weights.

    Args:
        depth: 6n + 2.
        width: channels of the stem and the first stage; each further stage has twice as many at
            half the side. 16 in the paper.
        residual: whether blocks have shortcuts.

    Raises:
        UserError: `depth` is not 6n + 2.
    """

    def __init__(
        self,
        depth: int = 20,
        width: int = 16,
        residual: bool = True,
        num_classes: int = 10,
        in_chans: int = 3,
        global_pool: str = "avg",
    ) -> None:
        super().__init__()
        self.num_features = 4 * width
        self.conv1 = nn.Conv2d(in_chans, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.act1 = nn.ReLU(inplace=True)
        self.feature_info = [{"num_chs": width, "reduction": 1, "module": "act1"}]
        before = width
        for index, name in enumerate(STAGES):
            after, stride = width * 2**index, 1 if index == 0 else 2
            widths = [before, *[after] * blocks_per_stage(depth)]
            blocks = [
                Block(a, b, stride if position == 0 else 1, residual)
                for position, (a, b) in enumerate(zip(widths, widths[1:], strict=False))
            ]
            self.add_module(name, nn.Sequential(*blocks))
            self.feature_info.append({"num_chs": after, "reduction": 2**index, "module": name})
            before = after
        self.reset_classifier(num_classes, global_pool)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # He et al. 2015, "Delving Deep into Rectifiers"
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        return {
            "stem": r"^conv1|bn1",
            "blocks": r"^layer(\d+)" if coarse else r"^layer(\d+)\.(\d+)",
        }

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act1(self.bn1(self.conv1(x)))
        for name in STAGES:
            x = self.through(self.get_submodule(name).children(), x)
        return x


class Block(nn.Module):
    """Two 3x3 convolutions, each with BatchNorm and ReLU; the input joins before the last ReLU.

    The shortcut has no parameters (option A of the paper): every other pixel where the side is
    halved, and zeros for the channels that the input has not.
    """

    def __init__(self, before: int, after: int, stride: int, residual: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.act1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.act2 = nn.ReLU(inplace=True)
        self.stride, self.added, self.residual = stride, after - before, residual

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(self.act1(self.bn1(self.conv1(x)))))
        return self.act2(y + self.shortcut(x) if self.residual else y)

    def shortcut(self, x: torch.Tensor) -> torch.Tensor:
        if self.stride == 1 and not self.added:
            return x
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.added))


def _cfg() -> dict[str, Any]:
    return {
        "num_classes": 10,
        "input_size": (3, 32, 32),
        "pool_size": (8, 8),
        "crop_pct": 1.0,
        "interpolation": "bilinear",
        "mean": (0.4914, 0.4822, 0.4465),  # of CIFAR-10's training pictures
        "std": (0.2470, 0.2435, 0.2616),
        "first_conv": "conv1",
        "classifier": "fc",
    }


default_cfgs = generate_default_cfgs(
    {
        name: _cfg()
        for name in (
            "cifar_plain",
            "cifar_plain20",
            "cifar_plain56",
            "cifar_resnet",
            "cifar_resnet20",
            "cifar_resnet56",
            "cifar_resnet110",
        )
    }
)


def _build(variant: str, pretrained: bool, **kwargs: Any) -> CifarNet:
    maps = {"out_indices": (0, 1, 2, 3)}
    return build_model_with_cfg(CifarNet, variant, pretrained, feature_cfg=maps, **kwargs)


@register_model
def cifar_plain(pretrained: bool = False, **kwargs: Any) -> CifarNet:
    """Without shortcuts; `depth` and `width` as given."""
    return _build("cifar_plain", pretrained, residual=False, **kwargs)


@register_model
def cifar_plain20(pretrained: bool = False, **kwargs: Any) -> CifarNet:
    """0.27 million parameters."""
    return _build("cifar_plain20", pretrained, **{"residual": False, "depth": 20, **kwargs})


@register_model
def cifar_plain56(pretrained: bool = False, **kwargs: Any) -> CifarNet:
    """0.85 million parameters."""
    return _build("cifar_plain56", pretrained, **{"residual": False, "depth": 56, **kwargs})


@register_model
def cifar_resnet(pretrained: bool = False, **kwargs: Any) -> CifarNet:
    """With shortcuts; `depth` and `width` as given."""
    return _build("cifar_resnet", pretrained, **kwargs)


@register_model
def cifar_resnet20(pretrained: bool = False, **kwargs: Any) -> CifarNet:
    """0.27 million parameters; 8.75 % test error on CIFAR-10 in the paper."""
    return _build("cifar_resnet20", pretrained, **{"depth": 20, **kwargs})


@register_model
def cifar_resnet56(pretrained: bool = False, **kwargs: Any) -> CifarNet:
    """0.85 million parameters; 6.97 % in the paper."""
    return _build("cifar_resnet56", pretrained, **{"depth": 56, **kwargs})


@register_model
def cifar_resnet110(pretrained: bool = False, **kwargs: Any) -> CifarNet:
    """1.7 million parameters; 6.43 % in the paper."""
    return _build("cifar_resnet110", pretrained, **{"depth": 110, **kwargs})
