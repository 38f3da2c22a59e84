from __future__ import annotations

import copy
import re
from typing import Any

import pytest
import torch
from conftest import composed

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.models.backbones import register
from graftwork.models.base import Model
from graftwork.models.cifar_depth import blocks_per_stage
from graftwork.process.vision import timm

register()


def network(name: str = "cifar_resnet", **options: Any) -> Any:
    torch.manual_seed(0)
    return timm.create_model(name, **options)


@pytest.mark.parametrize(
    ("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)]
)
@pytest.mark.parametrize("kind", ["plain", "resnet"])
def test_parameters_are_the_papers(kind: str, depth: int, millions: float) -> None:
    """He et al. 2015, table 6; shortcuts of option A have none, so both kinds have as many."""
    found = network(f"cifar_{kind}", depth=depth)
    total = sum(p.numel() for p in found.parameters()) / 1e6
    assert round(total, 1 if depth == 110 else 2) == millions
    layers = [m for m in found.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))]
    assert len(layers) == depth


def test_shortcuts_are_all_that_differs() -> None:
    plain, residual = network("cifar_plain20", width=8), network("cifar_resnet20", width=8)
    assert plain.state_dict().keys() == residual.state_dict().keys()
    plain.load_state_dict(residual.state_dict())
    images = torch.randn(2, 3, 32, 32)
    assert not torch.allclose(plain.eval()(images), residual.eval()(images))


def test_a_shortcut_is_the_input_thinned_out_and_padded_with_zeros() -> None:
    block = network().layer2[0].eval()
    torch.nn.init.zeros_(block.bn2.weight)  # leaves the shortcut alone
    images = torch.rand(1, 16, 32, 32)
    out = block(images)
    assert out.shape == (1, 32, 16, 16)
    assert torch.equal(out[:, :16], images[:, :, ::2, ::2]) and not out[:, 16:].any()


def test_convolutions_start_as_he_et_al_say() -> None:
    weight = network().layer3[1].conv2.weight
    assert weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.05)


@pytest.mark.parametrize("name", ["cifar_plain56", "cifar_resnet56", "cifar_resnet110"])
def test_named_depths(name: str) -> None:
    blocks = network(name, width=2).layer3
    assert len(blocks) == blocks_per_stage(int(re.sub(r"\D", "", name)))


@pytest.mark.parametrize(
    ("depth", "nearest"), [(21, "20 or 26"), (55, "50 or 56"), (2, "8"), (0, "8"), (-4, "8")]
)
def test_other_depths_are_refused_with_the_nearest(depth: int, nearest: str) -> None:
    with pytest.raises(UserError, match=rf"depth: {depth} layers.*Nearest legal: {nearest} \("):
        blocks_per_stage(depth)
    with pytest.raises(UserError, match="6n"):
        network(depth=depth)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.options.depth=21", "depth: 21 layers.*20 or 26"),
        ("model.options.depth=6000002", "depth: 6000002 layers. At most 1202"),
        ("model.options.width=0", "width: 0"),
        ("model.options.depth=deep", "options.depth: 'deep' is no whole number"),
        ("+model.options.deph=20", "options: 'deph' is unknown.*Did you mean 'depth'"),
    ],
)
def test_wrong_options_are_refused_before_any_work(override: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Experiment.from_params(composed("model=cifar_plain", "transfer=from_scratch", override))


@pytest.mark.parametrize(("word", "depth"), [("plain20", 20), ("resnet56", 56), ("plain56", 56)])
def test_words_choose_depth_and_kind(word: str, depth: int) -> None:
    model = build(composed(f"model={word}", "model.options.width=4")["model"], Model, "model")
    backbone = model.build(10, None).backbone
    assert len(backbone.layer1) == blocks_per_stage(depth)
    assert backbone.layer1[0].residual is word.startswith("resnet")
    assert backbone.num_features == 16


def test_timm_extracts_its_feature_maps() -> None:
    found = network(features_only=True, width=8)
    maps = [tuple(m.shape[1:]) for m in found(torch.zeros(1, 3, 32, 32))]
    assert maps == [(8, 32, 32), (8, 32, 32), (16, 16, 16), (32, 8, 8)]
    assert found.feature_info.reduction() == [1, 1, 2, 4]


def test_timm_groups_its_layers() -> None:
    found = network(width=4)
    for coarse, count in ((True, 5), (False, 11)):
        groups = timm.models.group_parameters(found, found.group_matcher(coarse))
        assert len(groups) == count
        assert sum(map(len, groups.values())) == len(list(found.parameters()))


def test_checkpointing_changes_no_gradient() -> None:
    plain = network(width=4)
    saving = copy.deepcopy(plain)
    saving.set_grad_checkpointing()
    images = torch.randn(4, 3, 32, 32)
    for one in (plain, saving):
        one.train()(images).square().sum().backward()
    pairs = zip(plain.named_parameters(), saving.parameters(), strict=True)
    assert all(torch.equal(p.grad, q.grad) for (_, p), q in pairs)


def test_its_classifier_can_be_replaced() -> None:
    found = network(width=4)
    assert found.get_classifier().out_features == 10
    found.reset_classifier(0)
    assert found(torch.zeros(2, 3, 32, 32)).shape == (2, 16)
    assert timm.data.resolve_model_data_config(found)["input_size"] == (3, 32, 32)
