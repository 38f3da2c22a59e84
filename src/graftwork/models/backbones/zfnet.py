"""ZFNet: AlexNet with a finer first layer (Zeiler and Fergus 2013, figure 3)."""

from __future__ import annotations

from typing import Any

from timm.models import generate_default_cfgs, register_model

from graftwork.models.backbones.alexnet import AlexNet, Step, build, imagenet_cfg

VERSION = 1  # of what its weights compute: see graftwork.models.versions
# Padding and incomplete pooling windows give the sides of the figure: 110, 55, 26, 13, 6.
STEPS = (
    Step(96, 7, stride=2, padding=1, normalised=True, pooled=True),
    Step(256, 5, stride=2, normalised=True, pooled=True),
    Step(384, 3, padding=1),
    Step(384, 3, padding=1),
    Step(256, 3, padding=1, pooled=True),
)

default_cfgs = generate_default_cfgs({"zfnet": imagenet_cfg(224, 47)})


@register_model
def zfnet(pretrained: bool = False, **kwargs: Any) -> AlexNet:
    """62.4 million parameters; 224 px. The normalisation is AlexNet's, after pooling."""
    arguments = {"lrn": True, "norm_first": False, "ceil_mode": True, **kwargs}
    return build(AlexNet, "zfnet", pretrained, steps=STEPS, **arguments)
