"""What leaves the layer groups, for networks of several kinds."""

from __future__ import annotations

import pytest
import torch
from small_network import network
from torch import nn

from graftwork.models.network.group_outputs import (
    feature_maps,
    first_filters,
    group_outputs,
    maps_of,
    strongest,
)
from graftwork.models.network.pooling import Pooling


@pytest.mark.parametrize(
    ("architecture", "size", "options", "shapes"),
    [
        (
            "tiny_cnn",
            32,
            {},
            {"stem": (16, 16, 16), "stages.0": (32, 8, 8), "stages.1": (64, 4, 4)},
        ),
        # behind the stem's pooling, which has no parameters
        (
            "resnet10t",
            64,
            {},
            {"stem": (64, 16, 16), "layer1": (64, 16, 16), "layer4": (512, 2, 2)},
        ),
        ("vit_tiny_patch16_224", 64, {"depth": 2}, {"stem": (192, 4, 4), "blocks.1": (192, 4, 4)}),
        # the layers behind the last block belong to its group
        ("tf_efficientnet_lite0", 64, {}, {"stem": (32, 32, 32), "blocks.6": (1280, 2, 2)}),
    ],
)
def test_shapes(architecture, size, options, shapes):
    classifier = network(architecture, size, **options)
    found = feature_maps(classifier, group_outputs(classifier), torch.rand(2, 3, size, size))
    assert {group: tuple(found[group].shape[1:]) for group in shapes} == shapes
    assert list(found) == [group.name for group in classifier.layer_groups()[:-1]]


def test_maps_are_those_that_the_backbone_gives():
    classifier = network("tiny_cnn")
    images = torch.randn(2, 3, 32, 32)
    found = feature_maps(classifier, group_outputs(classifier), images)
    with torch.no_grad():
        stem = classifier.backbone.stem(images)
        assert torch.equal(found["stem"], stem)
        assert torch.equal(found["stages.1"], classifier.backbone.forward_features(images))


def test_tokens_go_back_on_their_grid():
    places = torch.arange(9.0)
    tokens = torch.cat([torch.full((1,), -1.0), places]).view(1, 10, 1)
    maps = maps_of(tokens, Pooling("default", prefix_tokens=1))
    assert maps is not None and maps[0, 0].tolist() == places.view(3, 3).tolist()
    without = maps_of(tokens[:, 1:], Pooling("default", prefix_tokens=1))
    assert torch.equal(without, maps)
    assert maps_of(tokens[:, :8], Pooling("default", prefix_tokens=1)) is None
    assert maps_of(torch.rand(1, 7), Pooling("avg")) is None


def test_channels_last_is_noticed():
    maps = torch.rand(1, 5, 4, 4)
    nhwc = maps.permute(0, 2, 3, 1)
    assert torch.equal(maps_of(nhwc, Pooling("avg", channels_last=True)), maps)
    assert torch.equal(maps_of(nhwc, Pooling("avg")), maps)  # as in PVT's stem
    assert torch.equal(maps_of(maps, Pooling("avg")), maps)


def test_strongest_channels_vary_most():
    maps = torch.zeros(1, 3, 2, 2)
    maps[0, 0] = 100.0  # high, but the same everywhere
    maps[0, 1, 0, 0], maps[0, 2, 0, 0] = 1.0, -2.0
    assert strongest(maps, 2) == [2, 1]
    assert strongest(maps, 9) == [2, 1, 0]


def test_first_filters():
    classifier = network("tiny_cnn")
    assert torch.equal(first_filters(classifier), classifier.backbone.stem.conv.weight)


def test_first_filters_of_a_grey_network():
    classifier = network("tiny_cnn", channels=1)
    assert first_filters(classifier).shape == (16, 1, 3, 3)


def test_patch_embedding_counts_as_first_layer():
    classifier = network("vit_tiny_patch16_224", 64, depth=1)
    assert torch.equal(first_filters(classifier), classifier.backbone.patch_embed.proj.weight)


def test_towers_side_by_side_and_no_filters_at_all():
    classifier = network("tiny_cnn")

    class Towers(nn.Module):
        def __init__(self):
            super().__init__()
            self.upper, self.lower = nn.Conv2d(3, 2, 5, padding=2), nn.Conv2d(3, 4, 5, padding=2)

        def forward(self, x):
            return torch.cat([self.upper(x), self.lower(x), x[:, :10]], 1)

    towers = Towers()
    stem = classifier.backbone.stem
    classifier.backbone.stem = nn.Sequential(towers, nn.Conv2d(9, 16, 1), nn.MaxPool2d(2))
    expected = torch.cat([towers.upper.weight, towers.lower.weight])
    assert torch.equal(first_filters(classifier), expected)
    classifier.backbone.stem = nn.Sequential(nn.AvgPool2d(2), nn.Upsample(size=(30, 30)), stem)
    assert first_filters(classifier) is None
