"""Heads: pooled features to logits, initialised on purpose.

The start of a head decides the first epochs: timm's own classifier of `tf_efficientnet_*` starts
ten times wider than `nn.Linear`, and stays twenty points behind after two epochs.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graftwork.config.errors import check_range
from graftwork.models.base import Head

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Linear(Head):
    """One affine map."""

    init_std: float  # of the weights' normal distribution, biases 0; 0: all logits start equal

    def __post_init__(self) -> None:
        check_range("init_std", self.init_std, 0)

    @property
    def is_linear(self) -> bool:
        return True

    def build(self, num_features: int, num_classes: int) -> nn.Module:
        return _affine(num_features, num_classes, self.init_std)


@dataclass(frozen=True)
class Mlp(Head):
    """One hidden layer with GELU and dropout."""

    hidden: int  # width
    dropout: float  # after the hidden layer, [0, 1)
    init_std: float  # of the last layer, as in Linear; the hidden one keeps torch's own start

    def __post_init__(self) -> None:
        check_range("hidden", self.hidden, 1)
        check_range("dropout", self.dropout, 0, 0.99)
        check_range("init_std", self.init_std, 0)

    @property
    def is_linear(self) -> bool:
        return False

    def build(self, num_features: int, num_classes: int) -> nn.Module:
        from torch import nn

        return nn.Sequential(
            OrderedDict(
                hidden=nn.Linear(num_features, self.hidden),
                act=nn.GELU(),
                dropout=nn.Dropout(self.dropout),
                out=_affine(self.hidden, num_classes, self.init_std),
            )
        )


def _affine(num_features: int, num_classes: int, std: float) -> nn.Linear:
    from torch import nn

    layer = nn.Linear(num_features, num_classes)
    nn.init.normal_(layer.weight, std=std)
    nn.init.zeros_(layer.bias)
    return layer
