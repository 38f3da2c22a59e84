from __future__ import annotations

import pytest
import torch
from conftest import CONF

from graftwork.config.errors import UserError
from graftwork.profiling.chosen import model_of, transfer_of
from graftwork.profiling.profile import built, profile_of, static_profile, trainable_parameters


@pytest.mark.parametrize("word", ["tiny_cnn", "resnet18", "vit_tiny_patch16_224", "vgg11"])
def test_groups_add_up_to_the_network(word):
    model = model_of(word, conf=CONF)
    classifier = built(model, 7)
    found = profile_of(classifier, model, 7)
    names = [group.name for group in classifier.layer_groups()]
    assert [group.name for group in found.groups] == names
    for key in ("parameters", "macs", "activation_kib"):
        total = sum(getattr(layer, key) for layer in found.layers)
        assert sum(getattr(group, key) for group in found.groups) == total
    for group, own in zip(found.groups, classifier.layer_groups(), strict=True):
        assert group.parameters == sum(p.numel() for p in classifier.parameters_of(own))
    assert found.groups[-1].output == (7,)


def test_a_group_is_known_by_its_last_layer():
    found = static_profile(model_of("resnet18", conf=CONF), 10)
    stem, layer1 = found.groups[:2]
    assert (stem.output, stem.receptive_field) == ((64, 56, 56), 11)  # its pooling, no parameters
    assert (layer1.output, layer1.receptive_field) == ((64, 56, 56), 43)


def test_branches_return_what_they_return_together():
    groups = {g.name: g for g in static_profile(model_of("googlenet", conf=CONF), 10).groups}
    assert groups["inception3a"].output == (64 + 128 + 32 + 32, 28, 28)
    assert groups["inception3a"].receptive_field == 43
    assert groups["inception3b"].output == (480, 14, 14)  # the pooling after it


def test_layers_that_the_pooling_leaves_out_stand_apart():
    model = model_of("mobilenetv3_small_050", ["model.pooling=avg"], conf=CONF)
    found = static_profile(model, 10)
    assert found.groups[-1].name == "not used"
    assert (found.groups[-1].macs, found.groups[-1].parameters > 0) == (0, True)


def test_a_profile_takes_no_memory():
    classifier = built(model_of("vit_giant_patch14_224", conf=CONF), 10)
    assert {p.device.type for p in classifier.parameters()} == {"meta"}
    assert sum(p.numel() for p in classifier.parameters()) > 1e9


def test_names_are_those_of_the_backbone():
    found = static_profile(model_of("tiny_cnn", conf=CONF), 3)
    assert [layer.name for layer in found.layers][:2] == ["stem.conv", "stem.bn"]
    assert found.layers[-1].name == "head"
    assert found.input == (3, 32, 32)


HEAD = 512 * 10 + 10


@pytest.mark.parametrize(
    ("strategy", "overrides", "expected"),
    [
        ("linear_probe", [], HEAD),
        ("from_scratch", [], 11_176_512 + HEAD),
        # BatchNorm stays as it is: 2 x (64 + ... ) affine numbers less.
        ("fine_tune", [], 11_176_512 + HEAD - 9_600),
        ("fine_tune", ["transfer.batch_norm=trained"], 11_176_512 + HEAD),
    ],
)
def test_what_a_strategy_trains(strategy, overrides, expected):
    classifier = built(model_of("resnet18", conf=CONF), 10)
    assert trainable_parameters(classifier, transfer_of(strategy, overrides, CONF)) == expected


def test_training_later_groups_counts_those():
    classifier = built(model_of("resnet18", conf=CONF), 10)
    overrides = ["transfer/trainable=from_group", "transfer.trainable.first=layer4"]
    overrides.append("transfer.batch_norm=trained")
    transfer = transfer_of("fine_tune", overrides, CONF)
    layer4 = sum(p.numel() for n, p in classifier.named_parameters() if ".layer4." in n)
    assert trainable_parameters(classifier, transfer) == layer4 + HEAD


def test_a_group_that_is_not_there():
    overrides = ["transfer/trainable=from_group", "transfer.trainable.first=layr4"]
    transfer = transfer_of("fine_tune", overrides, CONF)
    with pytest.raises(UserError, match="layer4"):
        trainable_parameters(built(model_of("resnet18", conf=CONF), 10), transfer)


def test_a_network_that_cannot_be_built_without_values_is_built_with_them(monkeypatch):
    model = model_of("tiny_cnn", conf=CONF)
    whole = type(model).build

    def build(self, num_classes, weights):
        if torch.empty(0).device.type == "meta":
            raise NotImplementedError("no values")
        return whole(self, num_classes, weights)

    monkeypatch.setattr(type(model), "build", build)
    assert static_profile(model, 10).parameters == 23_696 + 650
