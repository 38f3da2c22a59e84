"""AlexNet: one tower (Krizhevsky 2014, as torchvision has it) and two (Krizhevsky et al. 2012)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.layers.adaptive_avgmax_pool import SelectAdaptivePool2d
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import nn

from graftwork.models.backbones.local_response_norm import LocalResponseNorm
from graftwork.models.backbones.own_backbone import OwnBackbone
from graftwork.models.backbones.smallest_input import check_smallest

VERSION = 1  # of what its weights compute: see graftwork.models.versions
MAP = 6  # side of the map that FC6 reads


@dataclass(frozen=True)
class Step:
    """One convolution with what follows it."""

    width: int
    kernel: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    normalised: bool = False  # by the responses of neighbouring channels, where that is switched on
    pooled: bool = False  # 3x3 stride 2: the windows overlap


ONE_TOWER = (
    Step(64, 11, stride=4, padding=2, normalised=True, pooled=True),
    Step(192, 5, padding=2, normalised=True, pooled=True),
    Step(384, 3, padding=1),
    Step(256, 3, padding=1),
    Step(256, 3, padding=1, pooled=True),
)
# groups=2: each GPU saw the maps of its own half; only conv3 and the FC layers saw both.
TWO_TOWERS = (
    Step(96, 11, stride=4, normalised=True, pooled=True),
    Step(256, 5, padding=2, groups=2, normalised=True, pooled=True),
    Step(384, 3, padding=1),
    Step(384, 3, padding=1, groups=2),
    Step(256, 3, padding=1, groups=2, pooled=True),
)


class AlexNet(OwnBackbone):
    """Five convolutions, FC6, FC7 and the classifier FC8.

    `forward_features` gives the maps of conv5 after pooling; the head averages them to 6 x 6 (which
    changes nothing at the network's own input size), so that other sizes fit FC6.

    Args:
        steps: the five convolutions.
        global_pool: how maps become 6 x 6: `avg`, `max`, `avgmax`, or nothing where they are.
        hidden: width of FC6 and FC7; nearly all parameters are theirs.
        drop_rate: of the outputs of FC6 and FC7.
        lrn: whether local response normalisation follows the first two convolutions.
        norm_first: normalises before pooling (AlexNet) or after it (ZFNet).
        ceil_mode: poolings count a last, incomplete window too (ZFNet).
    """

    classifier_name = "fc8"

    def __init__(
        self,
        steps: Sequence[Step],
        num_classes: int = 1000,
        in_chans: int = 3,
        global_pool: str = "avg",
        hidden: int = 4096,
        drop_rate: float = 0.5,
        lrn: bool = False,
        norm_first: bool = True,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.features = nn.Sequential()
        self.feature_info = []
        before, reduction = in_chans, 1
        for number, step in enumerate(steps, start=1):
            layers = _layers(before, step, lrn, norm_first, ceil_mode)
            self.features.add_module(f"conv{number}", nn.Sequential(layers))
            before, reduction = step.width, reduction * step.stride * (2 if step.pooled else 1)
            self.feature_info.append(
                {"num_chs": before, "reduction": reduction, "module": f"features.conv{number}"}
            )
        self.num_features, self.head_hidden_size = before, hidden
        self.fc6 = _fully_connected(before * MAP * MAP, hidden, drop_rate)
        self.fc7 = _fully_connected(hidden, hidden, drop_rate)
        self.apply(_initialise)
        self.reset_classifier(num_classes, global_pool)

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        blocks = [(r"^features\.conv(\d+)", None), (r"^fc6", (6,)), (r"^fc7", (7,))]
        return {"stem": r"^features\.conv1", "blocks": blocks}

    def set_input_size(self, img_size: tuple[int, int]) -> None:
        """Any size from the smallest on: nothing changes.

        Raises:
            ValueError: it is smaller.
        """
        check_smallest(self, img_size)

    def set_pooling(self, kind: str) -> None:
        self.global_pool = SelectAdaptivePool2d(MAP, kind, flatten=True)

    def new_classifier(self, num_classes: int) -> nn.Module:
        """Starts as in Krizhevsky et al. 2012, section 5: He's rule is for layers before a ReLU."""
        layer = nn.Linear(self.head_hidden_size, num_classes)
        nn.init.normal_(layer.weight, std=0.01)
        nn.init.zeros_(layer.bias)
        return layer

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        return self.through(self.features, x)

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        x = self.fc7(self.fc6(self.global_pool(x)))
        return x if pre_logits else self.get_classifier()(x)


def _layers(
    before: int, step: Step, lrn: bool, norm_first: bool, ceil_mode: bool
) -> OrderedDict[str, nn.Module]:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv"] = nn.Conv2d(
        before, step.width, step.kernel, step.stride, step.padding, groups=step.groups
    )
    layers["relu"] = nn.ReLU(inplace=True)
    if lrn and step.normalised:
        layers["norm"] = LocalResponseNorm()
    if step.pooled:
        layers["pool"] = nn.MaxPool2d(3, 2, ceil_mode=ceil_mode)
    if not norm_first and "norm" in layers:
        layers.move_to_end("norm")
    return layers


def _fully_connected(before: int, hidden: int, drop_rate: float) -> nn.Sequential:
    """One module with its dropout, so that freezing the layer stills its dropout too."""
    return nn.Sequential(
        OrderedDict(
            linear=nn.Linear(before, hidden),
            relu=nn.ReLU(inplace=True),
            drop=nn.Dropout(drop_rate),
        )
    )


def _initialise(module: nn.Module) -> None:
    """He et al. 2015, equation 10: the variance of what flows forward stays through ReLUs.

    The paper's own start (standard deviation 0.01, biases 1 in some layers) lets it fade.
    """
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        assert module.bias is not None, "every layer here has one"
        nn.init.zeros_(module.bias)


def imagenet_cfg(size: int, smallest: int) -> dict[str, Any]:
    """What an AlexNet for ImageNet wants to see, as timm writes it down."""
    return {
        "num_classes": 1000,
        "input_size": (3, size, size),
        "min_input_size": (3, smallest, smallest),
        "pool_size": (MAP, MAP),
        "crop_pct": 0.875,
        "interpolation": "bilinear",
        "mean": IMAGENET_DEFAULT_MEAN,
        "std": IMAGENET_DEFAULT_STD,
        "first_conv": "features.conv1.conv",
        "classifier": "fc8",
    }


default_cfgs = generate_default_cfgs(
    {
        "alexnet": imagenet_cfg(224, 63),
        # 227: the paper says 224, from which its first layer does not give its 55 x 55.
        "alexnet_two_towers": imagenet_cfg(227, 67),
    }
)


@register_model
def alexnet(pretrained: bool = False, **kwargs: Any) -> AlexNet:
    """One tower: 61.1 million parameters; 224 px. `lrn=True` switches the normalisation on."""
    return build(AlexNet, "alexnet", pretrained, steps=ONE_TOWER, **kwargs)


@register_model
def alexnet_two_towers(pretrained: bool = False, **kwargs: Any) -> AlexNet:
    """As trained on two GPUs, with normalisation: 61.0 million parameters; 227 px."""
    arguments = {"steps": TWO_TOWERS, "lrn": True, **kwargs}
    return build(AlexNet, "alexnet_two_towers", pretrained, **arguments)


def build(network: type[nn.Module], name: str, pretrained: bool, **arguments: Any) -> Any:
    """By timm's builder, with the maps of all five convolutions as features."""
    maps = {"flatten_sequential": True, "out_indices": (0, 1, 2, 3, 4)}
    return build_model_with_cfg(network, name, pretrained, feature_cfg=maps, **arguments)
