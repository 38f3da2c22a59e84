from __future__ import annotations

import torch

from graftwork.models.backbones import register
from graftwork.process.vision import timm

register()


def test_timm_builds_it_by_name() -> None:
    network = timm.create_model("tiny_cnn", num_classes=7)
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
    assert sum(p.numel() for p in network.parameters()) < 30_000


def test_timm_extracts_its_feature_maps() -> None:
    network = timm.create_model("tiny_cnn", features_only=True)
    shapes = [tuple(m.shape[1:]) for m in network(torch.zeros(1, 3, 32, 32))]
    assert shapes == [(16, 16, 16), (32, 8, 8), (64, 4, 4)]
    assert network.feature_info.channels() == [16, 32, 64]


def test_timm_groups_its_layers() -> None:
    network = timm.create_model("tiny_cnn")
    groups = timm.models.group_parameters(network, network.group_matcher(coarse=True))
    assert [len(names) for names in groups.values()] == [3, 3, 3, 2]


def test_its_classifier_can_be_replaced() -> None:
    network = timm.create_model("tiny_cnn")
    assert network.get_classifier().out_features == 10
    network.reset_classifier(0)
    features = network.forward_features(torch.zeros(1, 3, 32, 32))
    assert network.forward_head(features, pre_logits=True).shape == (1, network.num_features)
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 64)
