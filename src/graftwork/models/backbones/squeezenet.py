"""SqueezeNet 1.0 (Iandola et al. 2016, table 1) and 1.1 (its authors' cheaper revision)."""

from __future__ import annotations

from typing import Any

import torch
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import nn

from graftwork.models.backbones.own_backbone import OwnBackbone
from graftwork.models.backbones.smallest_input import check_smallest

VERSION = 1  # of what its weights compute: see graftwork.models.versions
# Channels of the squeeze layer, and of each of the two expand layers, of fire2 to fire9.
FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))


class SqueezeNet(OwnBackbone):
    """A convolution, eight fire modules, and a classifier that is a 1x1 convolution.

    The classifier works on every position; its maps, after a ReLU, are averaged to logits. So
    `forward_head(pre_logits=True)` is the average of what the classifier would read.

    Args:
        first: width, kernel of the first convolution (stride 2).
        pooled: the layers before a 3x3/2 pooling: `conv1`, `fire4`, ...
        global_pool: of positions: `avg`, `max`, `avgmax`, or nothing to keep them.
        drop_rate: before the classifier.
    """

    classifier_name = "classifier"

    def __init__(
        self,
        first: tuple[int, int],
        pooled: tuple[str, ...],
        num_classes: int = 1000,
        in_chans: int = 3,
        global_pool: str = "avg",
        drop_rate: float = 0.5,
    ) -> None:
        super().__init__()
        self.features = nn.Sequential()
        self.feature_info: list[dict[str, Any]] = []
        width, kernel = first
        self._append("conv1", _first(in_chans, width, kernel), "conv1" in pooled)
        for number, (squeeze, expand) in enumerate(FIRES, start=2):
            name = f"fire{number}"
            self._append(name, Fire(width, squeeze, expand), name in pooled)
            width = 2 * expand
        self._tap(2 ** (1 + len(pooled)))
        self.num_features = width
        self.drop = nn.Dropout(drop_rate)
        self.apply(_initialise)
        self.reset_classifier(num_classes, global_pool)

    def _append(self, name: str, layer: nn.Module, pooled: bool) -> None:
        self.features.add_module(name, layer)
        if pooled:
            self._tap(2 ** (1 + len(self.feature_info)))
            # ceil: a last, incomplete window counts
            self.features.add_module(f"pool{name[-1]}", nn.MaxPool2d(3, 2, ceil_mode=True))

    def _tap(self, reduction: int) -> None:
        """Offers the maps of the layer added last as a feature."""
        name, layer = list(self.features.named_children())[-1]
        width = [m for m in layer.modules() if isinstance(m, nn.Conv2d)][-1].out_channels
        width *= 2 if isinstance(layer, Fire) else 1
        self.feature_info.append(
            {"num_chs": width, "reduction": reduction, "module": f"features.{name}"}
        )

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        return {"stem": r"^features\.conv1", "blocks": r"^features\.fire(\d+)"}

    def set_input_size(self, img_size: tuple[int, int]) -> None:
        """Any size from the smallest on: nothing changes.

        Raises:
            ValueError: it is smaller.
        """
        check_smallest(self, img_size)

    def new_classifier(self, num_classes: int) -> nn.Module:
        """Starts with standard deviation 0.01, as its authors start it."""
        layer = nn.Conv2d(self.num_features, num_classes, 1)
        nn.init.normal_(layer.weight, std=0.01)
        assert layer.bias is not None, "every layer here has one"
        nn.init.zeros_(layer.bias)
        return layer

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        return self.through(self.features, x)

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        x = self.drop(x)
        if not pre_logits and self.num_classes:
            x = torch.relu(self.get_classifier()(x))
        return self.global_pool(x)


class Fire(nn.Module):
    """A 1x1 convolution to few channels, then 1x1 and 3x3 ones side by side."""

    def __init__(self, before: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(before, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.squeeze(x))
        return self.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1))


def _first(in_chans: int, width: int, kernel: int) -> nn.Sequential:
    layers = nn.Sequential()
    layers.add_module("conv", nn.Conv2d(in_chans, width, kernel, stride=2))
    layers.add_module("relu", nn.ReLU(inplace=True))
    return layers


def _initialise(module: nn.Module) -> None:
    """He et al. 2015, equation 10, drawn uniformly: the variance stays through ReLUs."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
        assert module.bias is not None, "every layer here has one"
        nn.init.zeros_(module.bias)


def _cfg(smallest: int) -> dict[str, Any]:
    return {
        "num_classes": 1000,
        "input_size": (3, 224, 224),
        "min_input_size": (3, smallest, smallest),
        "pool_size": (13, 13),
        "crop_pct": 0.875,
        "interpolation": "bilinear",
        "mean": IMAGENET_DEFAULT_MEAN,
        "std": IMAGENET_DEFAULT_STD,
        "first_conv": "features.conv1.conv",
        "classifier": "classifier",
    }


default_cfgs = generate_default_cfgs({"squeezenet1_0": _cfg(21), "squeezenet1_1": _cfg(17)})


@register_model
def squeezenet1_0(pretrained: bool = False, **kwargs: Any) -> SqueezeNet:
    """1.25 million parameters; 224 px."""
    arguments = {"first": (96, 7), "pooled": ("conv1", "fire4", "fire8"), **kwargs}
    return _build("squeezenet1_0", pretrained, **arguments)


@register_model
def squeezenet1_1(pretrained: bool = False, **kwargs: Any) -> SqueezeNet:
    """1.24 million parameters, 2.4 times fewer operations than 1.0; 224 px."""
    arguments = {"first": (64, 3), "pooled": ("conv1", "fire3", "fire5"), **kwargs}
    return _build("squeezenet1_1", pretrained, **arguments)


def _build(name: str, pretrained: bool, **arguments: Any) -> Any:
    maps = {"flatten_sequential": True, "out_indices": (0, 1, 2, 3)}
    return build_model_with_cfg(SqueezeNet, name, pretrained, feature_cfg=maps, **arguments)
