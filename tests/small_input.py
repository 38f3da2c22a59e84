"""The smallest pictures that a network is tested with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from conftest import composed

from graftwork.config.components import build
from graftwork.models.base import Model
from graftwork.models.input_size import nearest_sizes

SMALL = 32  # px


def overrides(word: str) -> list[str]:
    """What chooses a network of conf/model."""
    return [f"model={word}", *(["model.architecture=resnet10t"] if word == "timm" else [])]


def small(word: str) -> Any:
    """The network at SMALL px, or at the next size that it takes."""
    model: Any = build(composed(*overrides(word))["model"], Model, "model")  # type: ignore[type-abstract]

    def make() -> Any:
        backbone = model._backbone(None)
        backbone.reset_classifier(0)
        return backbone

    with torch.device("meta"):
        spec = model.build(10, None).input_spec
    if spec.size <= SMALL:
        return model
    size = nearest_sizes(make, model.pooling, replace(spec, size=SMALL - 1))[-1]
    return replace(model, input_size=size)
