"""tiny_cnn: a convolutional network small enough for tests, with everything a large one has."""

from __future__ import annotations

from typing import Any

import torch
from timm.layers.adaptive_avgmax_pool import SelectAdaptivePool2d
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import nn

WIDTHS = (16, 32, 64)  # channels of the stem and of each stage


class TinyCnn(nn.Module):
    """A stem and two stages of one block each.

    The names (`forward_features`, `forward_head`, `reset_classifier`, `group_matcher`,
    `feature_info`) are timm's, so that its tools work on this network.
    """

    def __init__(
        self, num_classes: int = 10, in_chans: int = 3, global_pool: str = "avg", **_: Any
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.num_features = self.head_hidden_size = WIDTHS[-1]
        self.stem = Block(in_chans, WIDTHS[0])
        pairs = zip(WIDTHS, WIDTHS[1:], strict=False)
        self.stages = nn.Sequential(*(Block(before, after) for before, after in pairs))
        self.feature_info = [
            {"num_chs": width, "reduction": 2 ** (index + 1), "module": module}
            for index, (width, module) in enumerate(
                zip(WIDTHS, ("stem", "stages.0", "stages.1"), strict=True)
            )
        ]
        self.reset_classifier(num_classes, global_pool)

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        return {"stem": r"^stem", "blocks": r"^stages\.(\d+)"}

    def get_classifier(self) -> nn.Module:
        return self.fc

    def reset_classifier(self, num_classes: int, global_pool: str = "avg") -> None:
        self.num_classes = num_classes
        self.global_pool = SelectAdaptivePool2d(pool_type=global_pool, flatten=bool(global_pool))
        self.fc = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        return self.stages(self.stem(x))

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        x = self.global_pool(x)
        return x if pre_logits else self.fc(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.forward_head(self.forward_features(x))


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
def tiny_cnn(pretrained: bool = False, **kwargs: Any) -> TinyCnn:
    """About 24 thousand parameters; 32 px."""
    maps = {"flatten_sequential": True, "out_indices": (0, 1, 2)}
    return build_model_with_cfg(TinyCnn, "tiny_cnn", pretrained, feature_cfg=maps, **kwargs)
