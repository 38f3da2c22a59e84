"""What every model offers."""

from __future__ import annotations

import inspect
import sys
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from graftwork.config.components import Component
from graftwork.config.errors import UserError, check_choice, check_range
from graftwork.data.sources.base import Source
from graftwork.models.key_maps import KEY_MAPS
from graftwork.models.versions import version_of

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from graftwork.models.network.classifier import Classifier

SMALLEST, LARGEST = 8, 8192  # px a side of a picture; a larger one is a slip of the finger
POOLINGS = ("avg", "max", "avgmax", "flatten", "default")
MAPS = "maps"  # none of these: what a head reads that wants every position


@dataclass(frozen=True)
class InputSpec:
    """What a network wants to see. Asked of the backbone, never repeated in a configuration."""

    size: int  # px, square
    mean: tuple[float, ...]  # of channels in [0, 1]
    std: tuple[float, ...]
    interpolation: str  # bilinear, bicubic, ...
    crop_pct: float  # size / shorter side before the centre crop

    @property
    def channels(self) -> int:
        return len(self.mean)


@dataclass(frozen=True)
class Head(Component):
    """What turns pooled features into logits."""

    @property
    @abstractmethod
    def is_linear(self) -> bool:
        """Whether it is one affine map, `weight` and `bias`."""

    @property
    def learns(self) -> bool:
        """Whether steps of gradient descent can train it."""
        return True

    @property
    def reads_maps(self) -> bool:
        """Whether it takes maps `[batch, num_features, H, W]` instead of pooled features."""
        return False

    @property
    def fixed(self) -> frozenset[str]:
        """Tensors of its module that no step and no fit changes: what it looks things up in."""
        return frozenset()

    @abstractmethod
    def build(self, num_features: int, num_classes: int) -> nn.Module:
        """`[batch, num_features]` to `[batch, num_classes]`, initialised on purpose."""

    def logits(
        self, tensors: Mapping[str, np.ndarray], features: np.ndarray, num_classes: int
    ) -> np.ndarray:
        """What the module with these tensors gives, in double precision.

        By the module itself here; a head that can do without torch says how.

        Args:
            tensors: of the module, by their names in its state dict.
            features: `[n, num_features]`.

        Returns:
            float64 `[n, num_classes]`.
        """
        import torch

        with torch.random.fork_rng(devices=[]):  # the random start is overwritten
            module = self.build(features.shape[1], num_classes)
        module.load_state_dict({name: torch.from_numpy(array) for name, array in tensors.items()})
        with torch.inference_mode():
            found: np.ndarray = module.eval().double()(torch.from_numpy(features).double()).numpy()
        return found


@dataclass(frozen=True)
class Weights(Component):
    """Pretrained weights: where they come from, and how their names become the backbone's."""

    source: Source
    key_map: str  # see graftwork.models.key_maps.KEY_MAPS
    pretrained_on: str  # said in reports: "ImageNet-1k"
    licence: str  # as the source states it

    def __post_init__(self) -> None:
        check_choice("key_map", self.key_map, KEY_MAPS)


@dataclass(frozen=True)
class WeightsFile:
    """A file of a backbone's weights that is there."""

    path: Path
    key_map: str  # see graftwork.models.key_maps.KEY_MAPS
    key: str  # of the configuration that names it, for messages


@dataclass(frozen=True)
class Model(Component):
    """Backbone, pooling and head."""

    name: str  # folder under data/weights, and the word that chooses it
    weights: Weights | None  # None: can only be trained from scratch
    pooling: str
    head: Head
    input_size: int | None  # px; None: what the backbone was trained at
    input_channels: int | None  # 1: grey, 3: colour; None: what the backbone was trained at
    auxiliary_weight: float  # of each auxiliary classifier's loss, in training; 0: none
    cut_after: str | None  # last layer group that is kept, or how many are; None: all

    def __post_init__(self) -> None:
        check_choice("pooling", self.pooling, POOLINGS)
        if self.input_size is not None:
            check_range("input_size", self.input_size, SMALLEST, LARGEST)
        if self.input_channels is not None:
            check_choice("input_channels", str(self.input_channels), ("1", "3"))
        check_range("auxiliary_weight", self.auxiliary_weight, 0)

    @property
    def version(self) -> str:
        """Of the code that computes its features: another one is another network."""
        return version_of(inspect.getsource(sys.modules[type(self).__module__]))

    def pretrained_whole(self, weights: WeightsFile) -> Classifier:
        """The network as it was pretrained: its head is the classifier in the weights' file.

        Raises:
            UserError: the file has none, or it does not read the features of the chosen pooling.
        """
        raise UserError(f"model: {self.name} does not say where its file keeps a classifier.")

    @abstractmethod
    def build(self, num_classes: int, weights: WeightsFile | None) -> Classifier:
        """The network. `weights`: the verified file, or None for random ones."""
