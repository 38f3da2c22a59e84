from __future__ import annotations

import copy

import pytest
import torch

from graftwork.models.backbones import register
from graftwork.models.weights import load_weights
from graftwork.process.vision import timm

register()
SIZES = {"x0_5": 1_366_792, "x1_0": 2_278_604, "x1_5": 3_503_624, "x2_0": 7_393_996}


@pytest.mark.parametrize(("size", "parameters"), SIZES.items())
def test_parameters_are_torchvisions(size: str, parameters: int) -> None:
    found = timm.create_model(f"shufflenet_v2_{size}")
    assert sum(p.numel() for p in found.parameters()) == parameters


@pytest.mark.parametrize("size", ["x0_5", "x1_0", "x1_5"])
def test_torchvisions_weights_give_torchvisions_logits(size: str, tmp_path) -> None:
    from torchvision.models import get_model

    torch.manual_seed(0)
    theirs = get_model(f"shufflenet_v2_{size}", weights=None)
    for module in theirs.modules():  # statistics as after training, so that swaps show
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    ours = timm.create_model(f"shufflenet_v2_{size}", num_classes=1000)
    load_weights(ours, tmp_path / "weights.pth", "by_name")
    ours.fc.load_state_dict(theirs.fc.state_dict())  # the classifier is not carried over
    images = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        expected, found = theirs.eval()(images), ours.eval()(images)
    assert expected.std() > 0.01
    assert (expected - found).abs().max() <= 1e-5


def test_timm_extracts_its_feature_maps() -> None:
    found = timm.create_model("shufflenet_v2_x0_5", features_only=True)
    maps = [tuple(m.shape[1:]) for m in found(torch.zeros(1, 3, 64, 64))]
    assert maps == [(24, 32, 32), (48, 8, 8), (96, 4, 4), (1024, 2, 2)]
    assert found.feature_info.reduction() == [2, 8, 16, 32]


def test_timm_groups_its_layers() -> None:
    found = timm.create_model("shufflenet_v2_x0_5")
    for coarse, count in ((True, 5), (False, 18)):
        groups = list(timm.models.group_parameters(found, found.group_matcher(coarse)).values())
        assert len(groups) == count
        assert "conv5.0.weight" in groups[-2] and groups[-1] == ["fc.weight", "fc.bias"]


def test_checkpointing_changes_no_gradient() -> None:
    torch.manual_seed(0)
    plain = timm.create_model("shufflenet_v2_x0_5")
    saving = copy.deepcopy(plain)
    saving.set_grad_checkpointing()
    images = torch.randn(4, 3, 64, 64)
    for one in (plain, saving):
        one.train()(images).square().sum().backward()
    pairs = zip(plain.parameters(), saving.parameters(), strict=True)
    assert all(torch.equal(p.grad, q.grad) for p, q in pairs)


def test_its_classifier_can_be_replaced() -> None:
    found = timm.create_model("shufflenet_v2_x0_5", in_chans=1)
    found.reset_classifier(0)
    assert found(torch.zeros(2, 1, 64, 64)).shape == (2, found.num_features)
