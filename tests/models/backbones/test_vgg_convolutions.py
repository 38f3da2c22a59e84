from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from graftwork.models.backbones import register
from graftwork.process.vision import timm

register()
STEPS = [8, 8, "M", 16, "M", 32, "M"]


@pytest.fixture
def small() -> Any:
    from graftwork.models.backbones.vgg_convolutions import VggConvolutions

    torch.manual_seed(0)
    return VggConvolutions(cfg=STEPS, num_classes=5)


def test_sixteen_convolutions_and_nothing_else() -> None:
    network = timm.create_model("vgg19_convolutions", num_classes=0)
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 16
    assert sum(p.numel() for p in network.parameters()) == 20_024_384
    assert network.pretrained_cfg["classifier"] == "head.fc"


def test_it_is_timms_vgg_up_to_the_last_maps(small: Any) -> None:
    theirs = timm.models.VGG(cfg=STEPS, num_classes=5, mlp_ratio=1 / 64)
    theirs.features.load_state_dict(small.features.state_dict())
    images = torch.randn(1, 3, 40, 40)
    assert torch.equal(small.forward_features(images), theirs.forward_features(images))


def test_the_head_pools_the_maps_and_classifies(small: Any) -> None:
    images = torch.randn(2, 3, 40, 40)
    maps = small.forward_features(images)
    assert torch.allclose(small.forward_head(maps, pre_logits=True), maps.mean((2, 3)))
    assert torch.allclose(small(images), small.head.fc(maps.mean((2, 3))), atol=1e-6)
    small.reset_classifier(0)
    assert torch.allclose(small(images), maps.mean((2, 3)))
    small.reset_classifier(3)
    assert small(images).shape == (2, 3)


def test_checkpointing_keeps_less_and_changes_no_gradient(small: Any) -> None:
    images = torch.randn(2, 3, 40, 40)
    found = []
    for enable in (False, True):
        small.set_grad_checkpointing(enable)
        kept: list[int] = []
        with saved_tensors_hooks(lambda t, kept=kept: kept.append(t.numel()) or t, lambda t: t):
            loss = small(images).square().sum()
        loss.backward()
        found.append((sum(kept), [p.grad.clone() for p in small.parameters()]))
        small.zero_grad()
    assert found[1][0] < found[0][0]
    assert all(torch.equal(a, b) for a, b in zip(found[0][1], found[1][1], strict=True))
