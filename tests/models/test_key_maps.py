from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from graftwork.config.errors import UserError
from graftwork.models.backbones import register
from graftwork.models.key_maps import KEY_MAPS
from graftwork.models.weights import load_weights
from graftwork.process.vision import timm, torchvision

register()
SMALL = ("squeezenet1_0", "squeezenet1_1")
LARGE = ("alexnet", "vgg11_bn")  # VGG: timm's
SLOW = ("vgg11", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn")


def unfilled(build: Any, *arguments: Any, **keywords: Any) -> Any:
    """A network without the seconds that a careful start of its parameters takes."""
    with torch.device("meta"):
        network = build(*arguments, **keywords)
    return network.to_empty(device="cpu").eval()


@torch.no_grad()
def theirs(name: str) -> Any:
    """torchvision's own module with random weights that keep the scale of what flows forward."""
    network = unfilled(getattr(torchvision.models, name), weights=None)
    torch.manual_seed(0)
    for parameter in network.parameters():
        inputs = max(parameter[0].numel(), 1) if parameter.ndim > 1 else 100
        parameter.uniform_(-1, 1).mul_((6 / inputs) ** 0.5)
    for buffer in network.buffers():
        buffer.uniform_(0.5, 1.5) if buffer.is_floating_point() else buffer.fill_(7)
    return network


@pytest.mark.parametrize(
    "name", [*SMALL, *LARGE, *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW)]
)
@torch.no_grad()
def test_torchvisions_file_gives_torchvisions_logits(name: str) -> None:
    original, network = theirs(name), unfilled(timm.create_model, name)
    mapped = KEY_MAPS["torchvision"](original.state_dict(), network.state_dict())
    network.load_state_dict(mapped, strict=True, assign=True)
    images = torch.randn(1, 3, 224, 224)
    expected, found = original(images), network(images)
    assert expected.shape == (1, 1000) and expected.std() > 1e-3
    assert (found - expected).abs().max() <= 1e-5 * max(1, expected.abs().max())


def test_torchvisions_file_loads_as_it_lies(tmp_path: Path) -> None:
    original = theirs("squeezenet1_1")
    torch.save(original.state_dict(), tmp_path / "squeezenet1_1-b8a52dc0.pth")
    network = timm.create_model("squeezenet1_1").eval()
    load_weights(network, tmp_path / "squeezenet1_1-b8a52dc0.pth", "torchvision")
    images = torch.randn(1, 3, 64, 64)
    assert torch.equal(network.forward_features(images), original.features(images))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"features.99.weight": (4, 4)}, "unexpected: surplus tensor features.99.weight"),
        ({"features.12.expand3x3.weight": (256, 64, 1, 1)}, "of another shape: features.fire9"),
    ],
)
def test_another_networks_file_is_refused(
    tmp_path: Path, change: dict[str, tuple[int, ...]], said: str
) -> None:
    state = dict(theirs("squeezenet1_1").state_dict())
    state |= {name: torch.zeros(shape) for name, shape in change.items()}
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(UserError, match=said):
        load_weights(timm.create_model("squeezenet1_1"), tmp_path / "w.pth", "torchvision")


def test_a_file_of_other_depth_is_refused(tmp_path: Path) -> None:
    torch.save(theirs("squeezenet1_1").state_dict(), tmp_path / "w.pth")
    with pytest.raises(UserError, match="does not fit the network: missing: .*alexnet|conv"):
        load_weights(timm.create_model("alexnet", hidden=8), tmp_path / "w.pth", "torchvision")


class Original(nn.Module):
    """As published: RGB in [0, 1] to BGR less the mean, then 3x3 convolutions and ReLUs."""

    def __init__(self) -> None:
        super().__init__()
        pairs = [(3, 8), (8, 8), (8, 16)]
        layers = OrderedDict([("0", nn.Conv2d(3, 3, 1))])
        for number, pair in zip((2, 5, 9), pairs, strict=True):
            layers[str(number)] = nn.Conv2d(*pair, 3, padding=1)
        self.layers = nn.ModuleDict(layers)
        prepare = self.layers["0"]
        prepare.weight.data = torch.eye(3).flip(0).view(3, 3, 1, 1) * 255
        prepare.bias.data = -torch.tensor([103.939, 116.779, 123.68])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layers["0"](x)
        for number in ("2", "5", "9"):
            x = torch.relu(self.layers[number](x))
            x = nn.functional.max_pool2d(x, 2) if number == "5" else x
        return nn.functional.max_pool2d(x, 2)


@torch.no_grad()
def test_the_layer_that_prepares_the_picture_becomes_part_of_the_first_one(tmp_path: Path) -> None:
    from graftwork.models.backbones.vgg_convolutions import VggConvolutions

    torch.manual_seed(0)
    original, network = Original(), VggConvolutions(cfg=[8, 8, "M", 16, "M"])
    torch.save(
        {k.removeprefix("layers."): v for k, v in original.state_dict().items()}, tmp_path / "w"
    )
    network.pretrained_cfg = {"classifier": "head.fc"}
    load_weights(network, tmp_path / "w", "vgg_normalised")
    photo = torch.rand(1, 3, 64, 64)
    mean, std = (
        torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    found, expected = network.forward_features((photo - mean) / std), original(photo)
    inside = (..., slice(2, -2), slice(2, -2))  # the border is padded with another mean
    assert torch.allclose(found[inside], expected[inside], rtol=1e-4, atol=1e-3)
    assert expected[inside].abs().max() > 1
    assert torch.allclose(found, expected, atol=0.5)
