"""timm's tools work on this project's own networks, and a freeze is a freeze on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from graftwork.models.backbones import register
from graftwork.models.base import InputSpec
from graftwork.models.network.classifier import Classifier
from graftwork.process.vision import timm

register()

# Small fully connected layers; a size near the smallest.
NETWORKS: dict[str, tuple[dict[str, Any], int]] = {
    "lenet5": ({}, 32),
    "alexnet": ({"hidden": 32}, 95),
    "alexnet_two_towers": ({"hidden": 32}, 99),
    "zfnet": ({"hidden": 32}, 79),
    "squeezenet1_0": ({}, 63),
    "squeezenet1_1": ({}, 63),
    "googlenet": ({}, 63),
}
each_network = pytest.mark.parametrize("name", NETWORKS)


def network(name: str, **arguments: Any) -> Any:
    torch.manual_seed(0)
    return timm.create_model(name, **{**NETWORKS[name][0], **arguments})


def picture(name: str, channels: int | None = None, batch: int = 2) -> torch.Tensor:
    channels = channels or timm.get_pretrained_cfg(name).input_size[0]
    size = NETWORKS[name][1]
    return torch.randn(batch, channels, size, size).to(memory_format=torch.channels_last)


@each_network
def test_another_number_of_classes_and_channels(name: str) -> None:
    for channels in (1, 3):
        built = network(name, num_classes=7, in_chans=channels)
        assert built(picture(name, channels)).shape == (2, 7)


@each_network
def test_its_feature_maps_have_the_channels_that_it_says(name: str) -> None:
    extractor = network(name, features_only=True)
    maps = extractor(picture(name))
    assert [m.shape[1] for m in maps] == extractor.feature_info.channels()
    for found, reduction in zip(maps, extractor.feature_info.reduction(), strict=True):
        assert abs(found.shape[-1] - NETWORKS[name][1] / reduction) < 4  # borders


@each_network
def test_the_last_feature_is_what_the_head_gets(name: str) -> None:
    extractor, whole = network(name, features_only=True), network(name)
    images = picture(name)
    assert torch.equal(extractor(images)[-1], whole.forward_features(images))


@each_network
def test_the_classifier_can_be_taken_off_and_put_on(name: str) -> None:
    built = network(name).eval()
    images = picture(name)
    assert built.get_classifier() is built.get_submodule(built.pretrained_cfg["classifier"])
    features = built.forward_head(built.forward_features(images), pre_logits=True)
    built.reset_classifier(0)
    assert torch.equal(built(images), features)
    assert features.shape == (2, built.head_hidden_size)
    built.reset_classifier(5)
    assert built.get_classifier().weight.shape[0] == built(images).shape[1] == 5


@each_network
def test_its_first_convolution_goes_by_the_name_in_its_configuration(name: str) -> None:
    built = network(name)
    first = next(m for m in built.modules() if isinstance(m, torch.nn.Conv2d))
    assert built.get_submodule(built.pretrained_cfg["first_conv"]) is first


def gradients(built: Any, images: torch.Tensor) -> tuple[int, list[torch.Tensor]]:
    """Bytes that the forward pass keeps for the backward pass; then its gradients."""
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    torch.manual_seed(1)  # dropout
    with saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = built(images).square().sum()
    total = sum(kept.values())
    loss.backward()
    found = [p.grad.clone() for p in built.parameters()]
    built.zero_grad()
    return total, found


@each_network
def test_checkpointing_keeps_less_and_changes_no_gradient(name: str) -> None:
    built = network(name).train()
    images = picture(name, batch=4)
    whole, expected = gradients(built, images)
    built.set_grad_checkpointing(True)
    part, found = gradients(built, images)
    assert part < whole
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
    built.set_grad_checkpointing(False)
    assert gradients(built, images)[0] == whole


TITLES = {
    "lenet5": ["stem", "features", "c5", "f6", "head"],
    "alexnet": [
        "stem",
        *(f"features.conv{n}" for n in (2, 3, 4, 5)),
        *(f"fc{n}.linear" for n in (6, 7)),
        "head",
    ],
    "squeezenet1_1": ["stem", *(f"features.fire{n}" for n in range(2, 10)), "head"],
}
TITLES |= {name: TITLES["alexnet"] for name in ("alexnet_two_towers", "zfnet")}
TITLES["squeezenet1_0"] = TITLES["squeezenet1_1"]


def classifier(name: str) -> Classifier:
    built = network(name)
    built.reset_classifier(0)
    config = built.pretrained_cfg
    spec = InputSpec(NETWORKS[name][1], config["mean"], config["std"], "bilinear", 1.0)
    return Classifier(built, "default", torch.nn.Linear(built.head_hidden_size, 3), spec, 1)


@pytest.mark.parametrize("name", TITLES)
def test_groups_run_from_the_stem_to_the_head_and_leave_nothing_out(name: str) -> None:
    whole = classifier(name)
    assert [group.name for group in whole.layer_groups()] == TITLES[name]
    grouped = [n for group in whole.layer_groups() for n in group.parameters]
    assert grouped == [n for n, _ in whole.named_parameters()]


@pytest.mark.parametrize("name", TITLES)
def test_frozen_groups_stay_bit_identical_through_a_step(name: str) -> None:
    whole = classifier(name).train()
    frozen = len(TITLES[name]) - 2  # all but the last group of the backbone
    whole.freeze([False] * frozen + [True], "frozen")
    before = {n: p.clone() for n, p in whole.named_parameters()}
    whole(picture(name)).square().sum().backward()
    torch.optim.SGD([p for p in whole.parameters() if p.requires_grad], lr=0.1).step()
    moved = {n for n, p in whole.named_parameters() if not torch.equal(p, before[n])}
    groups = whole.layer_groups()
    assert moved and not moved & {n for group in groups[:frozen] for n in group.parameters}


@pytest.mark.parametrize("name", ["alexnet", "alexnet_two_towers", "zfnet"])
def test_the_dropout_of_a_frozen_layer_is_still(name: str) -> None:
    whole = classifier(name).train()
    images = picture(name)

    def outputs(layers: Callable[[torch.Tensor], torch.Tensor]) -> tuple[torch.Tensor, ...]:
        return tuple(layers(images).clone() for _ in range(2))

    def up_to_fc6(x: torch.Tensor) -> torch.Tensor:
        return whole.backbone.fc6(whole.backbone.global_pool(whole.backbone.forward_features(x)))

    whole.freeze([False] * 6 + [True], "trained")
    assert torch.equal(*outputs(up_to_fc6))
    assert not torch.equal(*outputs(whole.features))  # FC7 trains, with its dropout
    whole.freeze([False] * 7, "trained")
    assert torch.equal(*outputs(whole.features))


@each_network
def test_one_pixel_less_than_the_smallest_input_is_refused_and_would_fail(name: str) -> None:
    built = network(name)
    channels, smallest, _ = built.pretrained_cfg["min_input_size"]
    built.set_input_size((smallest, smallest))
    assert built.eval()(torch.zeros(1, channels, smallest, smallest)).ndim == 2
    with pytest.raises(ValueError, match=f"needs {smallest} px or more"):
        built.set_input_size((smallest - 1, smallest))
    with pytest.raises(RuntimeError, match=r"too small|greater than actual"):
        built(torch.zeros(1, channels, smallest - 1, smallest - 1))


@each_network
def test_the_start_keeps_the_scale_of_what_flows_forward(name: str) -> None:
    """He's and LeCun's rules: at the last layer noise is as large as at the first, within ten."""
    built = network(name, num_classes=0).eval()
    spread = built.forward_features(picture(name, batch=8)).square().mean().sqrt().item()
    assert 0.1 < spread < 10
