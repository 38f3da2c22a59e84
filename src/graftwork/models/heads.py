"""Heads: pooled features to logits, initialised on purpose.

The start of a head decides the first epochs: timm's own classifier of `tf_efficientnet_*` starts
ten times wider than `nn.Linear`, and stays twenty points behind after two epochs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

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

    def logits(
        self, tensors: Mapping[str, np.ndarray], features: np.ndarray, num_classes: int
    ) -> np.ndarray:
        weight, bias = (tensors[name].astype(np.float64) for name in ("weight", "bias"))
        return np.asarray(features.astype(np.float64) @ weight.T + bias)


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

    def logits(
        self, tensors: Mapping[str, np.ndarray], features: np.ndarray, num_classes: int
    ) -> np.ndarray:
        from scipy.special import ndtr  # GELU (Hendrycks & Gimpel 2016) is x times the normal CDF

        layers = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}
        hidden = features.astype(np.float64) @ layers["hidden.weight"].T + layers["hidden.bias"]
        return np.asarray(hidden * ndtr(hidden) @ layers["out.weight"].T + layers["out.bias"])


@dataclass(frozen=True)
class Cosine(Head):
    """Cosine to a direction of each class, times a scale (Gidaris & Komodakis 2018).

    The features are seen from a centre, which stays where it is when the rest is trained.
    """

    init_scale: float  # of the cosines; trained
    init_std: float  # of the directions' normal distribution, of which the length does not count

    def __post_init__(self) -> None:
        check_range("init_scale", self.init_scale, 0, low_open=True)
        check_range("init_std", self.init_std, 0, low_open=True)

    @property
    def is_linear(self) -> bool:
        return False

    @property
    def fixed(self) -> frozenset[str]:
        return frozenset({"centre"})

    def build(self, num_features: int, num_classes: int) -> nn.Module:
        from graftwork.models.network.head_modules import CosineModule

        return CosineModule(num_features, num_classes, self.init_scale, self.init_std)

    def logits(
        self, tensors: Mapping[str, np.ndarray], features: np.ndarray, num_classes: int
    ) -> np.ndarray:
        weight, centre, scale = (
            tensors[name].astype(np.float64) for name in ("weight", "centre", "scale")
        )
        return np.asarray(scale * (unit(features - centre) @ unit(weight).T))


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1, in their own precision; a row of zeros stays one."""
    length = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    return np.asarray(rows / np.maximum(length, np.finfo(rows.dtype).tiny))


@dataclass(frozen=True)
class SmallConv(Head):
    """A small network on the last maps: two 3x3 convolutions with BatchNorm and ReLU, the mean over
    all positions, dropout and an affine map."""

    width: int  # channels of both convolutions
    dropout: float  # before the affine map, [0, 1)
    init_std: float  # of the last layer, as in Linear; convolutions keep torch's own start

    def __post_init__(self) -> None:
        check_range("width", self.width, 1)
        check_range("dropout", self.dropout, 0, 0.99)
        check_range("init_std", self.init_std, 0)

    @property
    def is_linear(self) -> bool:
        return False

    @property
    def reads_maps(self) -> bool:
        return True

    def build(self, num_features: int, num_classes: int) -> nn.Module:
        from torch import nn

        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for number, channels in ((1, num_features), (2, self.width)):
            layers[f"conv{number}"] = nn.Conv2d(channels, self.width, 3, padding=1, bias=False)
            layers[f"norm{number}"] = nn.BatchNorm2d(self.width)
            layers[f"act{number}"] = nn.ReLU(inplace=True)
        layers |= {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
        layers |= {"dropout": nn.Dropout(self.dropout)}
        layers["out"] = _affine(self.width, num_classes, self.init_std)
        return nn.Sequential(layers)


def _affine(num_features: int, num_classes: int, std: float) -> nn.Linear:
    from torch import nn

    layer = nn.Linear(num_features, num_classes)
    nn.init.normal_(layer.weight, std=std)
    nn.init.zeros_(layer.bias)
    return layer
