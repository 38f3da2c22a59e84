"""A backbone told as a stem and stages: what timm and graftwork ask of a network follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from timm.models import build_model_with_cfg
from torch import nn

from graftwork.models.backbones.own_backbone import OwnBackbone


class StagedNetwork(OwnBackbone):
    """Stem, stages, pooling over all positions, and one affine classifier.

    The names (`forward_features`, `forward_head`, `reset_classifier`, `group_matcher`,
    `feature_info`, `set_grad_checkpointing`) are timm's, so that its tools work on it: feature
    maps after the stem and each stage, one layer group for each of them.

    Args:
        stem: `[B, C, H, W]` to the first feature map.
        stages: each from the map before it to the next.
        channels: of the map after the stem and after each stage.
        reductions: how many times smaller than the picture the side of each map is.
    """

    def __init__(
        self,
        stem: nn.Module,
        stages: Sequence[nn.Module],
        *,
        channels: Sequence[int],
        reductions: Sequence[int],
        num_classes: int = 10,
        global_pool: str = "avg",
    ) -> None:
        super().__init__()
        self.stem = stem
        self.stages = nn.Sequential(*stages)
        self.num_features = channels[-1]
        modules = ("stem", *(f"stages.{index}" for index in range(len(stages))))
        self.feature_info = [
            {"num_chs": width, "reduction": reduction, "module": module}
            for width, reduction, module in zip(channels, reductions, modules, strict=True)
        ]
        self.reset_classifier(num_classes, global_pool)

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        return {"stem": r"^stem", "blocks": r"^stages\.(\d+)"}

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        return self.through(self.stages, self.stem(x))


def built(
    cls: type[StagedNetwork], name: str, pretrained: bool, maps: int, **arguments: Any
) -> Any:
    """What timm's `create_model` returns: the network, or only so many feature maps of it."""
    feature_cfg = {"feature_cls": "hook", "out_indices": tuple(range(maps))}
    return build_model_with_cfg(cls, name, pretrained, feature_cfg=feature_cfg, **arguments)
