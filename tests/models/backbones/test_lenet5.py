from __future__ import annotations

from typing import Any

import pytest
import torch
from conftest import composed

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.models.backbones import register
from graftwork.models.base import Model
from graftwork.process.vision import timm

register()


def model(*overrides: str) -> Any:
    values = composed("model=lenet5", "transfer=from_scratch", *overrides)["model"]
    return build(values, Model, "model")  # type: ignore[type-abstract]


def test_its_layers_have_the_sizes_of_the_figure() -> None:
    network = timm.create_model("lenet5")
    maps, sides = torch.zeros(1, 1, 32, 32), []
    for layer in network.features:
        maps = layer(maps)
        sides.append(tuple(maps.shape[1:]))
    assert sides == [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5)]
    counts = [sum(p.numel() for p in m.parameters()) for m in (network.c5, network.f6)]
    assert counts == [48_120, 10_164]  # of the paper
    assert sum(p.numel() for p in network.parameters()) == 61_706


def test_28_px_are_32_px_with_a_border() -> None:
    torch.manual_seed(0)
    plain = timm.create_model("lenet5", img_size=32)
    bordered = timm.create_model("lenet5", img_size=28)
    bordered.load_state_dict(plain.state_dict())
    digits = torch.randn(2, 1, 28, 28)
    framed = torch.nn.functional.pad(digits, (2, 2, 2, 2))
    assert torch.allclose(bordered(digits), plain(framed), atol=1e-6)


@pytest.mark.parametrize(("size", "channels"), [(28, 1), (32, 3), (64, 1), (45, 3), (12, 1)])
def test_sizes_and_channels_by_configuration(size: int, channels: int) -> None:
    chosen = model(f"model.input_size={size}", f"model.input_channels={channels}")
    classifier = chosen.build(4, None)
    assert (classifier.input_spec.size, classifier.input_spec.channels) == (size, channels)
    photos = torch.randint(0, 256, (2, size, size, 3), dtype=torch.uint8)
    assert classifier(classifier.normalise(photos)).shape == (2, 4)
    assert classifier.num_features == 84


def test_a_picture_that_is_too_small_is_refused_with_what_it_needs() -> None:
    with pytest.raises(UserError, match="input_size: lenet5 cannot take 11 px .it needs 12 px or"):
        model("model.input_size=11").build(4, None)


def test_what_an_unchanged_size_has_learned_stays() -> None:
    network = timm.create_model("lenet5")
    before = network.c5.linear.weight.clone()
    network.set_input_size((28, 28))  # a border instead of pixels: C5 reads as much
    assert torch.equal(network.c5.linear.weight, before)
    network.set_input_size((64, 64))
    assert network.c5.linear.in_features == 16 * 13 * 13


def test_activation_and_subsampling_are_switches() -> None:
    chosen = model("+model.options.activation=relu", "+model.options.subsampling=max")
    kinds = {type(m).__name__ for m in chosen.build(4, None).backbone.modules()}
    assert {"ReLU", "MaxPool2d"} <= kinds and not {"Tanh", "AvgPool2d"} & kinds
    with pytest.raises(UserError, match="activation: 'rel' is unknown. Did you mean 'relu'"):
        model("+model.options.activation=rel").build(4, None)
