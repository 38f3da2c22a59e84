from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch

from graftwork.models.backbones import register
from graftwork.models.backbones.local_response_norm import LocalResponseNorm
from graftwork.process.vision import timm

register()


@cache
def whole(name: str) -> Any:
    return timm.create_model(name).eval()


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def sides(name: str, size: int) -> list[int]:
    """Of the maps of every convolution, before its pooling, and of the last after it."""
    found: list[int] = []
    for convolution in whole(name).features:
        convolution.conv.register_forward_hook(lambda _m, _i, out: found.append(out.shape[-1]))
    with torch.no_grad():
        last = whole(name).forward_features(torch.zeros(1, 3, size, size))
    return [*found, last.shape[-1]]


def test_one_tower_has_the_published_layers() -> None:
    """Parameters in thousands and sides at 227 px of the usual table."""
    network = whole("alexnet")
    layers = [*network.features, network.fc6, network.fc7, network.fc8]
    thousands = [parameters(layer) // 1000 for layer in layers]
    assert thousands == [23, 307, 663, 884, 590, 37_752, 16_781, 4_097]
    assert parameters(network) == 61_100_840
    assert sides("alexnet", 227) == [56, 27, 13, 13, 13, 6]
    assert not any(isinstance(m, LocalResponseNorm) for m in network.modules())


def test_two_towers_meet_only_in_conv3() -> None:
    network = whole("alexnet_two_towers")
    assert parameters(network) == 60_965_224  # as Caffe's copy of the original has
    assert [c.conv.groups for c in network.features] == [1, 2, 1, 2, 2]
    assert sides("alexnet_two_towers", 227) == [55, 27, 13, 13, 13, 6]


def test_the_second_tower_does_not_see_the_first() -> None:
    second = whole("alexnet_two_towers").features.conv2.conv
    maps = torch.randn(1, 96, 27, 27)
    changed = maps.clone()
    changed[:, :48] += 1
    with torch.no_grad():
        before, after = second(maps), second(changed)
    assert torch.equal(before[:, 128:], after[:, 128:])
    assert not torch.equal(before[:, :128], after[:, :128])


def test_zfnet_has_the_sides_of_its_figure() -> None:
    assert parameters(whole("zfnet")) == 62_357_608
    assert sides("zfnet", 224) == [110, 26, 13, 13, 13, 6]


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("alexnet", ["conv", "relu", "norm", "pool"]),
        ("zfnet", ["conv", "relu", "pool", "norm"]),
    ],
)
def test_normalisation_is_a_switch(name: str, order: list[str]) -> None:
    with_it = timm.create_model(name, lrn=True, hidden=8)
    names = [[n for n, _ in convolution.named_children()] for convolution in with_it.features]
    assert names[0] == names[1] == order
    assert not any("norm" in children for children in names[2:])
    without = timm.create_model(name, lrn=False, hidden=8)
    assert not any("norm" in name for name, _ in without.named_modules())


def test_dropout_is_a_half_after_fc6_and_fc7() -> None:
    network = whole("alexnet")
    found = {n: m.p for n, m in network.named_modules() if isinstance(m, torch.nn.Dropout)}
    assert found == {"fc6.drop": 0.5, "fc7.drop": 0.5}
    assert list(dict(network.fc7.named_children())) == ["linear", "relu", "drop"]


def test_the_head_averages_maps_of_other_sizes_to_six_by_six() -> None:
    network = whole("alexnet")
    maps = torch.randn(1, 256, 12, 12)
    halved = torch.nn.functional.avg_pool2d(maps, 2)
    with torch.no_grad():
        assert torch.allclose(network.forward_head(maps), network.forward_head(halved), atol=1e-5)


def test_normalisation_follows_the_formula() -> None:
    """Each value one by one, as the paper writes it."""
    x = torch.randn(2, 7, 3, 4) * 50
    found = LocalResponseNorm()(x)
    for image, channel, row, column in ((0, 0, 0, 0), (1, 3, 2, 1), (1, 6, 1, 3)):
        near = range(max(0, channel - 2), min(6, channel + 2) + 1)
        total = sum(x[image, other, row, column].item() ** 2 for other in near)
        value = x[image, channel, row, column].item() / (2 + 1e-4 * total) ** 0.75
        assert found[image, channel, row, column].item() == pytest.approx(value, rel=1e-5)


def test_normalisation_agrees_with_torch_whose_alpha_is_divided_by_the_size() -> None:
    x = (torch.randn(2, 16, 5, 5) * 50).requires_grad_()
    theirs = torch.nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)
    layouts = (x, x.to(memory_format=torch.channels_last))
    for found, expected in ((LocalResponseNorm()(v), theirs(x)) for v in layouts):
        assert torch.allclose(found, expected, rtol=1e-5)
        gradients = [
            torch.autograd.grad(y.sum(), x, retain_graph=True)[0] for y in (found, expected)
        ]
        assert torch.allclose(*gradients, atol=1e-6)
