"""The smallest pictures that a network is tested with."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from conftest import composed

from graftwork.config.components import build
from graftwork.models.base import InputSpec, Model
from graftwork.models.input_size import REFUSALS, width_of

SMALL = 32  # px
SIZES = (SMALL, 48, 64, 75, 96, 128, 160, 192, 224, 256)  # 75 px: Inception's least


def overrides(word: str) -> list[str]:
    """What chooses a network of conf/model."""
    return [f"model={word}", *(["model.architecture=resnet10t"] if word == "timm" else [])]


def small(word: str, device: str = "meta") -> Any:
    """The network at SMALL px, or at the next of SIZES that it takes.

    Args:
        device: on which that is tried; small networks run faster where they have values.
    """
    model: Any = build(composed(*overrides(word))["model"], Model, "model")  # type: ignore[type-abstract]
    with torch.device(device):
        backbone = model._backbone(None)
        backbone.reset_classifier(0)
        spec = model._input_spec(backbone)
        if spec.size <= SMALL:
            return model
        return replace(model, input_size=next(s for s in SIZES if _takes(backbone, model, spec, s)))


def _takes(backbone: Any, model: Any, spec: InputSpec, size: int) -> bool:
    try:
        width_of(copy.deepcopy(backbone), model.pooling, replace(spec, size=size))
    except REFUSALS:
        return False
    return True
