"""LeNet-5 (LeCun et al. 1998, figure 2): convolutions, subsampling, fully connected layers."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import nn

from graftwork.config.errors import check_choice
from graftwork.models.backbones.own_backbone import OwnBackbone
from graftwork.models.backbones.smallest_input import check_smallest

VERSION = 1  # of what its weights compute: see graftwork.models.versions
ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}
POOLINGS: dict[str, type[nn.Module]] = {"avg": nn.AvgPool2d, "max": nn.MaxPool2d}
PICTURE = 32  # px: the original's input, in whose middle the 28 px of a digit lie


class LeNet5(OwnBackbone):
    """Two convolutions with 2x2 subsampling, C5 and F6 fully connected, and the classifier.

    As usual today the classifier is affine instead of radial basis functions, S2 and S4 have no
    parameters, and C3 sees all maps of S2. Pictures below 32 px get a border of 2 px, which
    makes 28 px what the original saw.

    Args:
        img_size: C5 reads every position of the last maps, so that its width follows the size.
        activation: `tanh` (original) or `relu`.
        subsampling: `avg` (original) or `max`.
    """

    features: Any
    c5: Any
    classifier_name = "output"

    def __init__(
        self,
        num_classes: int = 10,
        in_chans: int = 1,
        img_size: int | tuple[int, int] = PICTURE,
        activation: str = "tanh",
        subsampling: str = "avg",
    ) -> None:
        super().__init__()
        check_choice("activation", activation, ACTIVATIONS)
        check_choice("subsampling", subsampling, POOLINGS)
        self.num_features, self.head_hidden_size = 16, 84
        act, pool = ACTIVATIONS[activation], POOLINGS[subsampling]
        self.features = nn.Sequential(
            OrderedDict(
                c1=_step("conv", nn.Conv2d(in_chans, 6, 5), act),
                s2=pool(2),
                c3=_step("conv", nn.Conv2d(6, 16, 5), act),
                s4=pool(2),
            )
        )
        self.feature_info = [
            {"num_chs": 6, "reduction": 2, "module": "features.s2"},
            {"num_chs": 16, "reduction": 4, "module": "features.s4"},
        ]
        self.c5 = _step("linear", nn.Linear(self._positions(img_size), 120), act)
        self.f6 = _step("linear", nn.Linear(120, self.head_hidden_size), act)
        self.apply(_initialise)
        self.reset_classifier(num_classes)

    def _positions(self, img_size: int | tuple[int, int]) -> int:
        """How many values C5 reads; sets the border that goes with the size."""
        height, width = (img_size, img_size) if isinstance(img_size, int) else img_size
        border = 2 if min(height, width) < PICTURE else 0
        self.features.c1.conv.padding = (border, border)
        side = [((pixels + 2 * border - 4) // 2 - 4) // 2 for pixels in (height, width)]
        return 16 * side[0] * side[1]

    def set_input_size(self, img_size: tuple[int, int]) -> None:
        """Fits C5, which starts anew where its width changes.

        Raises:
            ValueError: the size is below the smallest.
        """
        check_smallest(self, img_size)
        positions = self._positions(img_size)
        if positions != self.c5.linear.in_features:
            self.c5.linear = nn.Linear(positions, 120)
            _initialise(self.c5.linear)

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        blocks = [(r"^features\.c(\d)", None), (r"^c(\d)", None), (r"^f(\d)", None)]
        return {"stem": r"^features\.c1", "blocks": blocks}

    def set_pooling(self, kind: str) -> None:
        """Changes nothing: C5 reads the maps as they are."""

    def new_classifier(self, num_classes: int) -> nn.Module:
        return super().new_classifier(num_classes).apply(_initialise)

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        return self.through(self.features, x)

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        x = self.f6(self.c5(x.flatten(1)))
        return x if pre_logits else self.get_classifier()(x)


def _step(kind: str, layer: nn.Module, act: type[nn.Module]) -> nn.Sequential:
    return nn.Sequential(OrderedDict([(kind, layer), ("act", act())]))


def _initialise(module: nn.Module) -> None:
    """Standard deviation `inputs ** -0.5`: LeCun et al. 1998, Efficient BackProp, section 4.6."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
        assert module.bias is not None, "every layer here has one"
        nn.init.zeros_(module.bias)


def _cfg(in_chans: int) -> dict[str, Any]:
    return {
        "num_classes": 10,
        "input_size": (in_chans, PICTURE, PICTURE),
        "min_input_size": (in_chans, 12, 12),
        "fixed_input_size": True,
        "crop_pct": 1.0,
        "interpolation": "bilinear",
        "mean": (0.5,) * in_chans,
        "std": (0.5,) * in_chans,
        "first_conv": "features.c1.conv",
        "classifier": "output",
    }


default_cfgs = generate_default_cfgs({"lenet5": _cfg(1)})


@register_model
def lenet5(pretrained: bool = False, **kwargs: Any) -> LeNet5:
    """61.7 thousand parameters; 32 px, grey. Colour by `in_chans=3`."""
    overlay = _cfg(kwargs.get("in_chans", 1)) | (kwargs.pop("pretrained_cfg_overlay", None) or {})
    maps = {"flatten_sequential": True, "out_indices": (0, 1)}
    return build_model_with_cfg(
        LeNet5,
        "lenet5",
        pretrained,
        pretrained_cfg_overlay=overlay,
        feature_cfg=maps,
        **kwargs,
    )
