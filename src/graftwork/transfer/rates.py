"""The learning rate of each layer group."""

from __future__ import annotations

from dataclasses import dataclass

from graftwork.config.errors import check_range
from graftwork.transfer.parts import Rates


@dataclass(frozen=True)
class Uniform(Rates):
    """One learning rate for all."""

    lr: float  # peak

    def __post_init__(self) -> None:
        check_range("lr", self.lr, 0, 10, low_open=True)

    @property
    def scale(self) -> str:
        return "lr"

    def of(self, depth: int, size: float) -> float:
        return self.lr


@dataclass(frozen=True)
class LayerDecay(Rates):
    """Each layer group learns slower than the one behind it (Howard & Ruder 2018; BEiT)."""

    head_lr: float  # peak learning rate of the head
    backbone_factor: float  # of the last group of the backbone, relative to the head
    layer_decay: float  # multiplier for each further group towards the input, in (0, 1]

    def __post_init__(self) -> None:
        check_range("head_lr", self.head_lr, 0, 10, low_open=True)
        check_range("backbone_factor", self.backbone_factor, 0, 100, low_open=True)
        check_range("layer_decay", self.layer_decay, 0, 1, low_open=True)

    @property
    def scale(self) -> str:
        return "head_lr"

    def of(self, depth: int, size: float) -> float:
        if depth == 0:
            return self.head_lr
        return self.head_lr * self.backbone_factor * self.layer_decay ** (depth - 1)


@dataclass(frozen=True)
class RelativeStep(Rates):
    """Every tensor moves by the same share of its own size.

    A step of AdamW moves each value by about the learning rate, whatever the gradient. Where
    weights are small (MobileNetV2's are a fifth of EfficientNet-Lite0's) the rate that suits one
    network destroys another; relative to the tensor's size it suits both, as in LARS and LAMB (You
    et al. 2017, 2020), but fixed before the first step.
    """

    step: float  # of the head: change of its values in one step at the peak, relative to their size
    backbone_factor: float  # of the last group of the backbone, relative to the head
    layer_decay: float  # multiplier for each further group towards the input, in (0, 1]
    smallest: float  # size that counts for tensors with smaller values, such as new biases

    def __post_init__(self) -> None:
        check_range("step", self.step, 0, 1, low_open=True)
        check_range("backbone_factor", self.backbone_factor, 0, 100, low_open=True)
        check_range("layer_decay", self.layer_decay, 0, 1, low_open=True)
        check_range("smallest", self.smallest, 0, 1, low_open=True)

    @property
    def follow_weights(self) -> bool:
        return True

    @property
    def scale(self) -> str:
        return "step"

    def of(self, depth: int, size: float) -> float:
        share = self.step
        if depth:
            share *= self.backbone_factor * self.layer_decay ** (depth - 1)
        return share * max(size, self.smallest)
