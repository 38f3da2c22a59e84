"""A network of timm's with random weights, small enough to look into."""

from __future__ import annotations

from typing import Any

import torch

from graftwork.models.heads import Linear
from graftwork.models.network.classifier import Classifier
from graftwork.models.timm_model import TimmModel


def network(
    architecture: str,
    size: int | None = None,
    pooling: str = "default",
    channels: int | None = None,
    **options: Any,
) -> Classifier:
    """For three classes, in eval mode; the same every time."""
    model = TimmModel(
        name=architecture,
        weights=None,
        pooling=pooling,
        head=Linear(0.1),
        input_size=size,
        input_channels=channels,
        auxiliary_weight=0.0,
        cut_after=None,
        architecture=architecture,
        options=options,
    )
    torch.manual_seed(0)
    return model.build(3, None).eval()
