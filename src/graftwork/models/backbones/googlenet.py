"""googlenet (Inception v1, 22 layers with weights) and the same network of naive modules.

As built without arguments it is torchvision's, and its state dict loads as it is. That differs
from the paper (Szegedy et al. 2014) in three ways, each with a switch:

| | here and in torchvision | paper | argument for the paper's form |
|---|---|---|---|
| after a convolution | BatchNorm | nothing, convolutions have biases | `batch_norm=False` |
| in the stem | nothing | local response normalisation, twice | `lrn=True` |
| the "5x5" branch | convolves 3x3 | convolves 5x5 | `kernel_5x5=5` |

and in two without one: dropout before the classifier is 0.2 (`drop_rate`; paper 0.4), and the
last max pooling is 2x2, not 3x3: both halve the side.

torchvision trained its weights on pictures of mean and deviation 0.5: its `transform_input` turns
what was normalised by ImageNet's statistics into that. `pretrained_cfg` says so straight away.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import nn

from graftwork.models.auxiliary_places import PLACES
from graftwork.models.backbones.auxiliary_classifiers import AuxiliaryClassifier
from graftwork.models.backbones.inception import (
    Convolution,
    Inception,
    NaiveInception,
    Widths,
)
from graftwork.models.backbones.local_response_norm import LocalResponseNorm
from graftwork.models.backbones.own_backbone import OwnBackbone
from graftwork.models.backbones.smallest_input import check_smallest

VERSION = 1  # of what its weights compute: see graftwork.models.versions
STEM = ("conv1", "maxpool1", "norm1", "conv2", "conv3", "norm2", "maxpool2")
MODULES = {  # the paper's table 1
    "inception3a": Widths(64, 96, 128, 16, 32, 32),
    "inception3b": Widths(128, 128, 192, 32, 96, 64),
    "inception4a": Widths(192, 96, 208, 16, 48, 64),
    "inception4b": Widths(160, 112, 224, 24, 64, 64),
    "inception4c": Widths(128, 128, 256, 24, 64, 64),
    "inception4d": Widths(112, 144, 288, 32, 64, 64),
    "inception4e": Widths(256, 160, 320, 32, 128, 128),
    "inception5a": Widths(256, 160, 320, 32, 128, 128),
    "inception5b": Widths(384, 192, 384, 48, 128, 128),
}
POOLED_AFTER = {"inception3b": ("maxpool3", 3), "inception4e": ("maxpool4", 2)}  # name, kernel
HEADS = PLACES["googlenet"]  # auxiliary classifiers, and the modules they read


class GoogLeNet(OwnBackbone):
    """Stem, nine inception modules, global pooling, one affine layer.

    Module names are torchvision's, method names timm's.

    Args:
        naive: modules without bottlenecks, 5x5 convolutions in them.
        aux_logits: builds the auxiliary classifiers; in train mode `forward` then returns
            (logits, those of aux2, those of aux1), as torchvision's. The project's own training
            asks `auxiliary_heads` for new ones instead, and never sets this.
        kernel_5x5: None: 3 as in torchvision, 5 in naive modules.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_chans: int = 3,
        global_pool: str = "avg",
        *,
        naive: bool = False,
        aux_logits: bool = False,
        batch_norm: bool = True,
        lrn: bool = False,
        kernel_5x5: int | None = None,
        drop_rate: float = 0.2,
    ) -> None:
        super().__init__()
        self.batch_norm = batch_norm
        self._add_stem(in_chans, lrn)
        self._add_modules(naive, kernel_5x5 or (5 if naive else 3))
        self.aux1 = self.aux2 = None
        if aux_logits:
            self.aux1, self.aux2 = self.auxiliary_heads(num_classes).values()
        self.dropout = nn.Dropout(drop_rate)
        self.reset_classifier(num_classes, global_pool)
        self.apply(_initialise)

    def _add_stem(self, in_chans: int, lrn: bool) -> None:
        self.conv1 = Convolution(in_chans, 64, 7, 2, batch_norm=self.batch_norm)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.norm1 = LocalResponseNorm() if lrn else nn.Identity()
        self.conv2 = Convolution(64, 64, 1, batch_norm=self.batch_norm)
        self.conv3 = Convolution(64, 192, 3, batch_norm=self.batch_norm)
        self.norm2 = LocalResponseNorm() if lrn else nn.Identity()
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.feature_info = [
            {"num_chs": 64, "reduction": 2, "module": "conv1"},
            {"num_chs": 192, "reduction": 4, "module": "conv3"},
        ]

    def _add_modules(self, naive: bool, kernel: int) -> None:
        self.layer_names, self.widths, channels, reduction = [*STEM], {}, 192, 8
        block: Inception | NaiveInception
        for name, widths in MODULES.items():
            if naive:
                sizes = widths.one, widths.three, widths.five
                block = NaiveInception(
                    channels, *sizes, batch_norm=self.batch_norm, kernel_5x5=kernel
                )
            else:
                block = Inception(channels, widths, batch_norm=self.batch_norm, kernel_5x5=kernel)
            self.add_module(name, block)
            self.layer_names.append(name)
            channels = self.widths[name] = block.out_channels
            if name in POOLED_AFTER or name == [*MODULES][-1]:
                self.feature_info += [{"num_chs": channels, "reduction": reduction, "module": name}]
                reduction *= 2
            if name in POOLED_AFTER:
                pooling, size = POOLED_AFTER[name]
                self.add_module(pooling, nn.MaxPool2d(size, stride=2, ceil_mode=True))
                self.layer_names.append(pooling)
        self.num_features = channels

    def auxiliary_heads(self, num_classes: int) -> dict[str, AuxiliaryClassifier]:
        """New auxiliary classifiers, by the name of the module whose output each one reads."""
        return {
            place: AuxiliaryClassifier(
                self.widths[place], num_classes, batch_norm=self.batch_norm
            ).apply(_initialise)
            for place in HEADS.values()
        }

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        names = [name for name in self.layer_names if name in MODULES]
        blocks = [(rf"^{name}\.", (index,)) for index, name in enumerate(names)]
        return {"stem": r"^conv[123]\.", "blocks": blocks}

    def set_input_size(self, img_size: tuple[int, int]) -> None:
        """Any from 15 px on; raises ValueError below."""
        check_smallest(self, img_size)

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """0: no classifier, and no auxiliary ones either."""
        super().reset_classifier(num_classes, global_pool)
        for head in HEADS:
            module = getattr(self, head)
            if module is not None and not num_classes:
                setattr(self, head, None)
            elif module is not None and module.fc2.out_features != num_classes:
                module.fc2 = nn.Linear(module.fc2.in_features, num_classes)

    def forward_features(
        self, x: torch.Tensor, maps: dict[str, torch.Tensor] | None = None
    ) -> torch.Tensor:
        """`[B, in_chans, S, S]` to `[B, num_features, S / 32, S / 32]`, sides rounded up.

        Args:
            maps: gets what the modules that auxiliary classifiers read put out, by name.
        """
        for name in self.layer_names:
            module = getattr(self, name)
            x = self.through([module], x) if name in MODULES else module(x)
            if maps is not None and name in HEADS.values():
                maps[name] = x
        return x

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        x = self.dropout(self.global_pool(x))
        return x if pre_logits else self.get_classifier()(x)

    def forward(  # type: ignore[override]
        self, x: torch.Tensor
    ) -> torch.Tensor | tuple[torch.Tensor, ...]:
        if self.aux1 is None or not self.training:
            return self.forward_head(self.forward_features(x))
        maps: dict[str, torch.Tensor] = {}
        logits = self.forward_head(self.forward_features(x, maps))
        return logits, *(getattr(self, head)(maps[HEADS[head]]) for head in reversed(HEADS))


def _initialise(module: nn.Module) -> None:
    """He et al. 2015: without BatchNorm the signal must keep its size through 22 layers."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


_CFG = {
    "num_classes": 1000,
    "input_size": (3, 224, 224),
    "min_input_size": (3, 15, 15),
    "pool_size": (7, 7),
    "crop_pct": 0.875,
    "interpolation": "bilinear",
    "mean": (0.5, 0.5, 0.5),
    "std": (0.5, 0.5, 0.5),
    "first_conv": "conv1.conv",
    "classifier": "fc",
}
default_cfgs = generate_default_cfgs({"googlenet": _CFG, "naive_inception": _CFG})


@register_model
def googlenet(pretrained: bool = False, **kwargs: Any) -> GoogLeNet:
    """6.6 million parameters and 1.5 billion MAC at 224 px (paper's form: 7.0 and 1.6)."""
    return _built("googlenet", pretrained, **kwargs)


@register_model
def naive_inception(pretrained: bool = False, **kwargs: Any) -> GoogLeNet:
    """googlenet without bottlenecks: what the 1x1 convolutions save can be seen beside it."""
    return _built("naive_inception", pretrained, naive=True, **kwargs)


def _built(name: str, pretrained: bool, **kwargs: Any) -> GoogLeNet:
    return build_model_with_cfg(
        GoogLeNet, name, pretrained, feature_cfg={"out_indices": (0, 1, 2, 3, 4)}, **kwargs
    )
