"""VGG-19 without its fully connected layers, for weights that hold the convolutions only."""

from __future__ import annotations

from typing import Any

import torch
from timm.layers.classifier import ClassifierHead
from timm.models import (
    build_model_with_cfg,
    generate_default_cfgs,
    get_pretrained_cfg,
    register_model,
)
from timm.models.vgg import VGG, cfgs
from torch import nn

from graftwork.models.backbones.own_backbone import Checkpointed

VERSION = 1  # of what its weights compute: see graftwork.models.versions


class VggConvolutions(Checkpointed, VGG):
    """timm's VGG whose classifier reads the pooled maps: FC6 and FC7, six in seven of the
    parameters, are not there."""

    pre_logits: Any

    def __init__(self, global_pool: str = "avg", **arguments: Any) -> None:
        # Next to nothing is spent on the fully connected layers before they are taken away.
        super().__init__(**arguments, mlp_ratio=1 / 4096)
        self.pre_logits = nn.Identity()
        self.head = ClassifierHead(
            self.num_features, self.num_classes, global_pool, drop_rate=self.drop_rate
        )
        self.head_hidden_size = self.num_features
        if self.num_classes:
            nn.init.normal_(self.head.fc.weight, std=0.01)  # as timm starts VGG's
            nn.init.zeros_(self.head.fc.bias)

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        # From pooling to pooling: under checkpointing a stretch is computed again.
        ends = [0, *(end + 1 for end in self.feature_ends[:-1]), len(self.features)]
        stretches = [self.features[a:b] for a, b in zip(ends, ends[1:], strict=False)]
        return self.through(stretches, x)


def _cfg(original: str) -> dict[str, Any]:
    """timm's own, less the address of weights that do not fit."""
    found = get_pretrained_cfg(original)
    assert found is not None, original
    keys = ("num_classes", "input_size", "pool_size", "crop_pct", "interpolation", "mean", "std")
    return {
        **{key: getattr(found, key) for key in (*keys, "first_conv", "classifier")},
        "min_input_size": (3, 32, 32),
    }


default_cfgs = generate_default_cfgs({"vgg19_convolutions": _cfg("vgg19")})


@register_model
def vgg19_convolutions(pretrained: bool = False, **kwargs: Any) -> VggConvolutions:
    """The sixteen convolutions of VGG-19: 20.0 million parameters; 224 px."""
    maps = {"flatten_sequential": True, "out_indices": (0, 1, 2, 3, 4, 5)}
    return build_model_with_cfg(
        VggConvolutions,
        "vgg19_convolutions",
        pretrained,
        model_cfg=cfgs["vgg19"],
        feature_cfg=maps,
        **kwargs,
    )
