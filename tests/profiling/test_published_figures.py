"""The figures of the courses, to their digits; and the ones that are wrong, said so."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import nn

from graftwork.models.backbones import register
from graftwork.process.vision import timm, torchvision
from graftwork.profiling.layers import Layer, layers
from graftwork.profiling.published_figures import (
    ALEXNET,
    ALEXNET_SIZE,
    GOOGLENET_STEM,
    INCEPTION,
    NAIVE_INCEPTION,
    RESNETS,
    Remark,
    Row,
    main_rows,
    module_macs,
    remarks,
)


def meta_timm(name: str) -> nn.Module:
    with torch.device("meta"):
        return timm.create_model(name)


def agrees(row: Layer, published: Row) -> bool:
    """To the digit given. Tables with and without bias terms go round; both are accepted."""
    side = published.side
    shape = (published.channels, side, side) if side > 1 else (published.channels,)
    parameters = {row.parameters, row.parameters - (published.channels if row.macs else 0)}
    return (
        row.output == shape
        and round(row.activation_kib) == published.kib
        and published.kparameters in {round(p / 1e3) for p in parameters}
        and round(row.macs / 1e6) == published.mmacs
    )


def own(name: str, **options: object) -> nn.Module:
    register()
    with torch.device("meta"):
        return timm.create_model(name, **options)


@cache
def alexnet(maker: str) -> list[Layer]:
    network = {
        "own": lambda: own("alexnet"),
        "own, normalised": lambda: own("alexnet", lrn=True),
        "torchvision": torchvision.models.alexnet,
    }[maker]()
    return layers(network, (3, ALEXNET_SIZE, ALEXNET_SIZE))


@pytest.mark.parametrize("maker", ["own", "own, normalised", "torchvision"])
@pytest.mark.parametrize("number", range(len(ALEXNET)), ids=[row.name for row in ALEXNET])
def test_every_row_of_alexnet(number, maker):
    rows = main_rows(alexnet(maker))
    assert len(rows) == len(ALEXNET)
    assert agrees(rows[number], ALEXNET[number]), rows[number]


@pytest.mark.parametrize("maker", ["own", "torchvision"])
def test_alexnet_has_61_million_parameters(maker):
    assert round(sum(row.parameters for row in alexnet(maker)) / 1e6) == 61


def googlenet(maker: str) -> nn.Module:
    if maker == "own":
        return own("googlenet")
    return torchvision.models.googlenet(init_weights=False, aux_logits=False)


@pytest.mark.parametrize("maker", ["own", "torchvision"])
def test_the_stem_of_googlenet(maker):
    network = googlenet(maker)
    rows = main_rows(layers(network, (3, 224, 224)))[: len(GOOGLENET_STEM)]
    for row, published in zip(rows, GOOGLENET_STEM, strict=True):
        assert agrees(row, published), row
    assert round(sum(row.parameters for row in rows) / 1e3) == 124
    assert round(sum(row.activation_kib for row in rows) / 1024, 1) == 7.5


class Inception(nn.Module):
    """128 1x1, 192 3x3, 96 5x5 on 28x28x256."""

    def __init__(self, bottleneck: int | None):
        super().__init__()
        width = bottleneck or 256

        def reduced() -> nn.Module:
            return nn.Conv2d(256, bottleneck, 1) if bottleneck else nn.Identity()

        self.one = nn.Conv2d(256, 128, 1)
        self.three = nn.Sequential(reduced(), nn.Conv2d(width, 192, 3, padding=1))
        self.five = nn.Sequential(reduced(), nn.Conv2d(width, 96, 5, padding=2))
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), reduced())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], 1)


@pytest.mark.parametrize(
    ("bottleneck", "convolutions", "mmacs"), [(None, NAIVE_INCEPTION, 854), (64, INCEPTION, 271)]
)
def test_the_inception_module(bottleneck, convolutions, mmacs):
    counted = sum(row.macs for row in layers(Inception(bottleneck), (256, 28, 28)))
    assert counted == module_macs(convolutions)
    assert round(counted / 1e6) == mmacs


@pytest.mark.parametrize(
    ("depth", "gmacs"), [(18, 1.81), (34, 3.66), (50, 4.09), (101, 7.80), (152, 11.51)]
)
def test_resnets_as_timm_builds_them(depth, gmacs):
    rows = layers(meta_timm(f"resnet{depth}"), (3, 224, 224))
    assert round(sum(row.macs for row in rows) / 1e9, 2) == gmacs


@pytest.mark.parametrize(("depth", "exact"), [(50, 3.86), (101, 7.57), (152, 11.28)])
def test_resnets_as_the_paper_has_them(depth, exact):
    """The stride in the first 1x1 of a block gives the paper's figure, rounded or cut off."""
    network = meta_timm(f"resnet{depth}")
    for stage in (network.layer2, network.layer3, network.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    gmacs = sum(row.macs for row in layers(network, (3, 224, 224))) / 1e9
    assert round(gmacs, 2) == exact
    assert RESNETS[depth].gmacs in {round(gmacs, 1), int(gmacs * 10) / 10}


def said(name: str, network: nn.Module, size: int = 224, classes: int = 1000) -> list[Remark]:
    return remarks(name, size, classes, layers(network, (3, size, size)))


def test_what_is_wrong_of_alexnet_is_said():
    conv4, parameters = said("alexnet", torchvision.models.alexnet(), ALEXNET_SIZE)
    assert (conv4.quoted, conv4.own, conv4.agrees) == ("145 M", "149.5 M", False)
    assert "13 x 13 positions times 884 736 weights" in conv4.why
    assert (parameters.own, parameters.agrees) == ("61.10 M", True)


def test_what_is_wrong_of_googlenet_is_said():
    parameters, module = said("googlenet", googlenet("own"))
    assert (parameters.quoted, parameters.own, parameters.agrees) == ("5 M", "6.62 M", False)
    assert (module.quoted, module.own, module.agrees) == ("358 M", "271 M", False)
    assert "854 M" in module.why


def test_what_is_right_of_vgg_is_said():
    for network in (meta_timm("vgg16"), torchvision.models.vgg16(init_weights=False)):
        parameters, first = said("vgg16.tv_in1k", network)
        assert (parameters.own, parameters.agrees) == ("138.36 M", True)
        assert (first.own, first.agrees) == ("102 760 448", True)


@pytest.mark.parametrize(("depth", "right"), [(18, True), (34, True), (50, False), (101, False)])
def test_where_the_paper_builds_otherwise_is_said(depth, right):
    operations, error = said(f"resnet{depth}.a1_in1k", meta_timm(f"resnet{depth}"))
    assert operations.agrees is right
    assert ("first 1x1" in operations.why) is not right
    assert error.quoted == f"{RESNETS[depth].top5_error} %"


@pytest.mark.parametrize(("size", "classes"), [(160, 1000), (224, 14)])
def test_figures_hold_for_their_size_and_classes_only(size, classes):
    assert said("resnet18", meta_timm("resnet18"), size, classes) == []


def test_of_an_unknown_network_nothing_is_said():
    assert said("mobilenetv2_100", meta_timm("mobilenetv2_100")) == []
