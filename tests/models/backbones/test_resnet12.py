from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from graftwork.config.errors import UserError
from graftwork.models.backbones import register
from graftwork.process.vision import timm

register()


def network(**options: Any) -> Any:
    torch.manual_seed(0)
    return timm.create_model("resnet12", **options)


def test_it_is_metaoptnets() -> None:
    found = network(num_classes=0)
    total = sum(p.numel() for p in found.parameters())
    assert total == pytest.approx(12.4e6, rel=0.005)
    on_path = [m for m in found.modules() if isinstance(m, torch.nn.Conv2d)]
    assert sum(m.kernel_size == (3, 3) for m in on_path) == 12
    assert sum(m.kernel_size == (1, 1) for m in on_path) == 4
    assert timm.data.resolve_model_data_config(found)["input_size"] == (3, 84, 84)


def test_timm_extracts_its_feature_maps() -> None:
    found = network(features_only=True)
    maps = [tuple(m.shape[1:]) for m in found(torch.zeros(1, 3, 84, 84))]
    assert maps == [(64, 42, 42), (160, 21, 21), (320, 10, 10), (640, 5, 5)]


def test_a_block_is_its_formula() -> None:
    block = network().layers[1].eval()
    x = torch.randn(1, 64, 8, 8)
    y = x
    for index in (0, 3, 6):
        y = block.convs[index + 1](block.convs[index](y))
        y = torch.nn.functional.leaky_relu(y, 0.1) if index < 6 else y
    y = torch.nn.functional.leaky_relu(y + block.shortcut(x), 0.1)
    expected = torch.nn.functional.max_pool2d(y, 2)
    assert torch.allclose(block(x), expected, atol=1e-6)


def test_dropout_is_a_switch() -> None:
    images = torch.randn(2, 3, 84, 84)
    for share, same in ((0.0, True), (0.3, False)):
        found = network(dropout=share).train()
        with torch.no_grad():
            first, second = found.forward_features(images), found.forward_features(images)
            assert torch.equal(first, second) is same
            found.eval()
            assert torch.equal(found(images), found(images))
    with pytest.raises(UserError, match=r"options\.dropout: 1\.5"):
        network(dropout=1.5)


def test_timm_groups_its_layers() -> None:
    found = network()
    groups = timm.models.group_parameters(found, found.group_matcher(coarse=True))
    assert [len(names) for names in groups.values()] == [12, 12, 12, 12, 2]


def test_checkpointing_changes_no_gradient() -> None:
    plain = network()
    saving = copy.deepcopy(plain)
    saving.set_grad_checkpointing()
    images = torch.randn(2, 3, 32, 32)
    for one in (plain, saving):
        one.train()(images).square().sum().backward()
    pairs = zip(plain.parameters(), saving.parameters(), strict=True)
    assert all(torch.equal(p.grad, q.grad) for p, q in pairs)


def test_its_classifier_can_be_replaced() -> None:
    found = network(in_chans=1)
    found.reset_classifier(0)
    assert found(torch.zeros(1, 1, 84, 84)).shape == (1, 640)
