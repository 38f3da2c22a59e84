from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import multiply_accumulates
import pytest
import torch
from conftest import composed
from torch import nn

from graftwork.config.components import build
from graftwork.models import weights
from graftwork.models.backbones import register
from graftwork.models.backbones.local_response_norm import LocalResponseNorm
from graftwork.models.base import Model
from graftwork.process.vision import timm

register()
PAPER = {"batch_norm": False, "lrn": True, "kernel_5x5": 5}


def published(**changes: Any) -> Any:
    """torchvision's network with statistics of its own, and weights that let signals through."""
    from torchvision.models import GoogLeNet

    torch.manual_seed(1)
    network = GoogLeNet(init_weights=False, **changes)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return network.eval()


@pytest.fixture(scope="module")
def torchvisions() -> Any:
    return published(aux_logits=True)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("in_file", [True, False], ids=["with_heads", "without_heads"])
@pytest.mark.parametrize("in_network", [True, False], ids=["building_them", "plain"])
def test_logits_are_torchvisions(
    in_file: bool, in_network: bool, torchvisions: Any, tmp_path: Path
) -> None:
    state = torchvisions.state_dict()
    state = {n: t for n, t in state.items() if in_file or not n.startswith("aux")}
    torch.save(state, tmp_path / "w.pth")
    network = timm.create_model("googlenet", aux_logits=in_network).eval()
    weights.load_weights(network, tmp_path / "w.pth", "by_name")
    network.fc.load_state_dict(torchvisions.fc.state_dict())
    images = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        own, theirs = network(images), torchvisions(images)
    assert (own - theirs).abs().max() <= 1e-5
    assert (own[0] - own[1]).abs().max() > 1e-2, "the pictures must matter"


def test_the_whole_state_dict_fits_as_it_is(torchvisions: Any) -> None:
    state = torchvisions.state_dict()
    network = timm.create_model("googlenet", aux_logits=True)
    assert list(network.state_dict()) == list(state)
    network.load_state_dict(state)


def test_auxiliary_logits_are_torchvisions(torchvisions: Any) -> None:
    network = timm.create_model("googlenet", aux_logits=True)
    network.load_state_dict(torchvisions.state_dict())
    images = torch.randn(4, 3, 64, 64)
    found = []
    for each in (network, published(aux_logits=True)):
        for module in each.train().modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        found.append(each(images))
    assert len(found[0]) == 3
    for own, theirs in zip(*found, strict=True):
        torch.testing.assert_close(own, theirs, atol=1e-5, rtol=1e-4)


def test_pictures_are_normalised_as_torchvisions_weights_want_them(torchvisions: Any) -> None:
    """Its `transform_input` undoes ImageNet's statistics; mean and deviation of 0.5 remain."""
    chosen = build(composed("model=googlenet", "model.input_size=64")["model"], Model, "model")
    classifier = chosen.build(2, None).eval()
    assert classifier.input_spec.mean == classifier.input_spec.std == (0.5, 0.5, 0.5)
    classifier.backbone.load_state_dict(torchvisions.state_dict(), strict=False)
    classifier.head = torchvisions.fc
    pictures = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).double()
    theirs = ((pictures.double() / 255 - mean) / std).permute(0, 3, 1, 2)
    transforming, plain = (
        published(aux_logits=True, transform_input=transform).double()
        for transform in (True, False)
    )
    with torch.no_grad():
        own = copy.deepcopy(classifier).double()(classifier.normalise(pictures).double())
        difference = (own - transforming(theirs)).abs().max()
        untransformed = (own - plain(theirs)).abs().max()
    assert difference <= 1e-5 < 1e-2 < untransformed


@pytest.mark.parametrize(
    ("name", "options", "parameters"),
    [
        ("googlenet", {}, 6_624_904),
        ("googlenet", {"aux_logits": True}, 13_004_888),
        ("googlenet", PAPER, 6_998_552),
        ("naive_inception", {}, 97_531_080),
    ],
)
def test_number_of_parameters(name: str, options: dict[str, Any], parameters: int) -> None:
    with torch.device("meta"):
        assert count(timm.create_model(name, **options)) == parameters


def test_it_has_22_layers_with_weights() -> None:
    """Along the longest way: branch 2 of each module."""
    network = timm.create_model("googlenet")
    layers = [n for n, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    sideways = ("branch1", "branch3", "branch4")
    assert len([name for name in layers if not any(part in name for part in sideways)]) == 22


def test_the_stem_is_the_published_one() -> None:
    network = timm.create_model("googlenet", **PAPER)
    found = multiply_accumulates.per_layer(network, 3, 224)
    kib = {name: elements * 4 / 1024 for name, (elements, _) in found.items()}
    million = {name: round(macs / 1e6) for name, (_, macs) in found.items()}
    stem = ("conv1.conv", "maxpool1", "conv2.conv", "conv3.conv", "maxpool2")
    assert [kib[name] for name in stem] == [3136, 784, 784, 2352, 588]
    assert [million[name] for name in stem] == [118, 0, 13, 347, 0]
    kernels = [network.get_submodule(name).weight.numel() for name in stem if "conv" in name]
    assert [round(number / 1000) for number in kernels] == [9, 4, 111]
    assert round(sum(kernels) / 1000) == 124


def test_the_papers_form_has_no_batch_norm_and_normalises_the_response() -> None:
    network = timm.create_model("googlenet", **PAPER).eval()
    assert not [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    images = torch.randn(1, 3, 64, 64)
    maps = network.maxpool1(network.conv1(images))
    assert not torch.equal(network.norm1(maps), maps)
    network.norm1 = network.norm2 = nn.Identity()
    plain = network.forward_features(images)
    for name in ("norm1", "norm2"):
        setattr(network, name, LocalResponseNorm())
        assert not torch.equal(network.forward_features(images), plain)
        setattr(network, name, nn.Identity())


def test_signals_keep_their_size_without_batch_norm() -> None:
    torch.manual_seed(0)
    network = timm.create_model("googlenet", **PAPER).eval()
    with torch.no_grad():
        size = network.forward_features(torch.randn(2, 3, 96, 96)).std()
    assert 0.05 < size < 20


@pytest.mark.parametrize("name", ["googlenet", "naive_inception"])
def test_timm_extracts_its_feature_maps(name: str) -> None:
    with torch.device("meta"):  # shapes are enough
        network = timm.create_model(name, features_only=True)
        maps = network(torch.zeros(1, 3, 64, 64))
    assert [m.shape[1] for m in maps] == network.feature_info.channels()
    assert [64 // m.shape[-1] for m in maps] == network.feature_info.reduction()
    assert network.feature_info.reduction() == [2, 4, 8, 16, 32]


def test_its_groups_go_from_the_stem_to_the_last_module() -> None:
    network = timm.create_model("googlenet")
    groups = timm.models.group_parameters(network, network.group_matcher(coarse=True))
    assert len(groups) == 11
    modules = [{name.split(".")[0] for name in names} for names in groups.values()]
    assert modules[0] == {"conv1", "conv2", "conv3"}
    assert modules[1:] == [
        {f"inception{name}"} for name in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
    ] + [{"fc"}]


def test_checkpointing_changes_no_gradient() -> None:
    gradients = []
    for enable in (False, True):
        torch.manual_seed(0)
        network = timm.create_model("googlenet", drop_rate=0.0).train()
        network.set_grad_checkpointing(enable)
        network(torch.randn(2, 3, 32, 32)).square().sum().backward()
        gradients.append([p.grad for p in network.parameters()])
    for plain, again in zip(*gradients, strict=True):
        torch.testing.assert_close(again, plain)


def test_checkpointing_keeps_less() -> None:
    kept = []
    for enable in (False, True):
        network = timm.create_model("googlenet").train()
        network.set_grad_checkpointing(enable)
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t, sizes=sizes: sizes.append(t.numel()) or t, lambda t: t
        ):
            network(torch.zeros(2, 3, 32, 32))
        kept.append(len(sizes))
    assert kept[1] < kept[0] / 3


def test_its_classifiers_can_be_replaced() -> None:
    network = timm.create_model("googlenet", aux_logits=True, num_classes=7)
    assert network.get_classifier().out_features == network.aux2.fc2.out_features == 7
    network.reset_classifier(5)
    assert [logits.shape[1] for logits in network(torch.zeros(2, 3, 32, 32))] == [5, 5, 5]
    network.reset_classifier(0)
    assert not [name for name in network.state_dict() if name.startswith(("aux", "fc"))]
    images = torch.zeros(2, 3, 32, 32)
    assert network(images).shape == (2, network.num_features) == (2, 1024)
    features = network.forward_features(images)
    assert network.forward_head(features, pre_logits=True).shape == (2, 1024)


def test_grey_pictures_go_too() -> None:
    assert timm.create_model("googlenet", in_chans=1)(torch.zeros(2, 1, 32, 32)).shape == (2, 1000)
