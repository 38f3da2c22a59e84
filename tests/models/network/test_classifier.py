from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from conftest import composed
from torch import nn

from graftwork.config.components import build
from graftwork.models.base import InputSpec, Model
from graftwork.models.network.classifier import Classifier, unused_parameters
from graftwork.process.vision import timm

IMAGES = torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8)


@pytest.fixture
def classifier() -> Classifier:
    torch.manual_seed(0)
    model = build(composed("model=tiny_cnn")["model"], Model, "model")  # type: ignore[type-abstract]
    return model.build(3, None)


def step(classifier: Classifier) -> None:
    """One step of training with momentum and weight decay on random labels."""
    optimiser = torch.optim.SGD(classifier.parameters(), 0.1, momentum=0.9, weight_decay=0.1)
    logits = classifier.train()(classifier.normalise(IMAGES))
    nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 0])).backward()
    optimiser.step()


def changed(before: dict[str, torch.Tensor], classifier: Classifier) -> set[str]:
    after = classifier.state_dict()
    return {name for name in before if not torch.equal(before[name], after[name])}


def copy_of(classifier: Classifier) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in classifier.state_dict().items()}


def test_normalise_gives_the_networks_own_range(classifier: Classifier) -> None:
    images = torch.zeros(1, 32, 32, 3, dtype=torch.uint8)
    images[..., 1] = 255
    found = classifier.normalise(images)
    assert found.shape == (1, 3, 32, 32)
    assert found[:, 0].eq(-1).all() and found[:, 1].eq(1).all()
    assert classifier.normalise(IMAGES).is_contiguous(memory_format=torch.channels_last)


def test_grey_networks_get_luma(classifier: Classifier) -> None:
    spec = replace(classifier.input_spec, mean=(0.5,), std=(0.25,))
    backbone = timm.create_model("tiny_cnn", num_classes=0, in_chans=1)
    grey = Classifier(backbone, "avg", nn.Linear(64, 2), spec, 64)
    images = torch.tensor([[[[200, 100, 50]]]], dtype=torch.uint8)
    luma = (0.299 * 200 + 0.587 * 100 + 0.114 * 50) / 255
    assert grey.normalise(images).item() == pytest.approx((luma - 0.5) / 0.25, abs=1e-5)
    assert grey(grey.normalise(IMAGES)).shape == (4, 2)


def test_normalisation_is_not_among_the_weights(classifier: Classifier) -> None:
    assert not [name for name in classifier.state_dict() if "mean" in name.split(".")[0]]


def test_logits_are_the_head_of_the_features(classifier: Classifier) -> None:
    classifier.eval()
    images = classifier.normalise(IMAGES)
    features = classifier.features(images)
    assert features.shape == (4, classifier.num_features)
    assert torch.equal(classifier(images), classifier.head(features))


def test_layer_groups_run_from_stem_to_head_and_hold_every_parameter_once(
    classifier: Classifier,
) -> None:
    groups = classifier.layer_groups()
    assert [group.name for group in groups] == ["stem", "stages.0", "stages.1", "head"]
    listed = [name for group in groups for name in group.parameters]
    assert sorted(listed) == sorted(name for name, _ in classifier.named_parameters())
    assert classifier.parameters_of(groups[-1]) == list(classifier.head.parameters())


@pytest.mark.parametrize(
    ("architecture", "names"),
    [
        ("tf_efficientnet_lite0", ["stem", *(f"blocks.{i}" for i in range(7)), "head"]),
        ("resnet10t", ["stem", *(f"layer{i}" for i in range(1, 5)), "head"]),
        ("vit_tiny_patch16_224", ["stem", *(f"blocks.{i}" for i in range(12)), "head"]),
        ("resnetv2_50", ["stem", *(f"stages.{i}" for i in range(4)), "head"]),
        ("densenet121", ["stem", *(f"features.denseblock{i}" for i in range(1, 5)), "head"]),
        (
            "vgg11_bn",
            [
                "stem",
                *(f"features.{i}" for i in (4, 8, 11, 15, 18, 22, 25)),
                "pre_logits",
                "head",
            ],
        ),
    ],
)
def test_groups_of_timm_networks_have_plain_names(architecture: str, names: list[str]) -> None:
    model = build(
        composed("model=timm", f"model.architecture={architecture}")["model"],
        Model,  # type: ignore[type-abstract]
        "model",
    )
    with torch.device("meta"):
        classifier = model.build(2, None)
    groups = classifier.layer_groups()
    assert [group.name for group in groups] == names
    listed = sorted(name for group in groups for name in group.parameters)
    assert listed == sorted(name for name, _ in classifier.named_parameters())


def test_batch_norm_is_of_the_group_of_its_convolution() -> None:
    model = build(composed("model=vgg11_bn")["model"], Model, "model")  # type: ignore[type-abstract]
    with torch.device("meta"):
        groups = model.build(2, None).layer_groups()
    stem = ["features.0.weight", "features.0.bias", "features.1.weight", "features.1.bias"]
    assert groups[0].parameters == tuple(f"backbone.{name}" for name in stem)


def test_exemptions_from_weight_decay_are_the_backbones(classifier: Classifier) -> None:
    assert classifier.no_weight_decay() == set()
    model = build(
        composed("model=timm", "model.architecture=vit_tiny_patch16_224")["model"],
        Model,  # type: ignore[type-abstract]
        "model",
    )
    assert "backbone.pos_embed" in model.build(2, None).no_weight_decay()


def test_a_frozen_backbone_stays_bit_identical_buffers_included(classifier: Classifier) -> None:
    before = copy_of(classifier)
    classifier.freeze([False, False, False], "trained")
    step(classifier)
    assert changed(before, classifier) == {"head.weight", "head.bias"}


def test_the_same_step_without_freezing_moves_statistics(classifier: Classifier) -> None:
    """So that the test above tests something."""
    before = copy_of(classifier)
    step(classifier)
    assert "backbone.stem.bn.running_mean" in changed(before, classifier)


def test_early_groups_stay_and_later_ones_move(classifier: Classifier) -> None:
    before = copy_of(classifier)
    classifier.freeze([False, False, True], "trained")
    step(classifier)
    moved = changed(before, classifier)
    assert not [name for name in moved if name.startswith(("backbone.stem", "backbone.stages.0"))]
    assert {
        "backbone.stages.1.conv.weight",
        "backbone.stages.1.bn.running_mean",
        "head.weight",
    } <= moved


def test_frozen_batch_norm_keeps_statistics_and_affine(classifier: Classifier) -> None:
    before = copy_of(classifier)
    classifier.freeze([True, True, True], "frozen")
    step(classifier)
    assert changed(before, classifier) == {
        "backbone.stem.conv.weight",
        "backbone.stages.0.conv.weight",
        "backbone.stages.1.conv.weight",
        "head.weight",
        "head.bias",
    }


def test_statistics_alone_follow_where_batch_norm_adapts(classifier: Classifier) -> None:
    """Those of frozen layers too; no affine is trained."""
    before = copy_of(classifier)
    classifier.freeze([False, False, True], "adapt")
    step(classifier)
    moved = changed(before, classifier)
    statistics = {
        name for name in before if name.endswith(("_mean", "_var", "num_batches_tracked"))
    }
    assert moved - statistics == {"backbone.stages.1.conv.weight", "head.weight", "head.bias"}
    assert moved >= {name for name in statistics if ".bn." in name}
    classifier.eval()
    assert not any(module.training for module in classifier.modules())


def test_the_affine_of_batch_norm_can_be_trained_while_statistics_stay(
    classifier: Classifier,
) -> None:
    before = copy_of(classifier)
    norms = {f"backbone.stages.1.bn.{name}" for name in ("weight", "bias")}
    classifier.train_only(norms, "affine")
    step(classifier)
    assert changed(before, classifier) == {*norms, "head.weight", "head.bias"}


def test_under_trained_batch_norm_statistics_follow_where_the_affine_is_trained(
    classifier: Classifier,
) -> None:
    before = copy_of(classifier)
    classifier.train_only({"backbone.stages.1.bn.bias"}, "trained")
    step(classifier)
    statistics = {f"backbone.stages.1.bn.{n}" for n in ("running_mean", "running_var")}
    assert changed(before, classifier) == {
        *statistics, "backbone.stages.1.bn.num_batches_tracked", "backbone.stages.1.bn.bias",
        "head.weight", "head.bias",
    }  # fmt: skip


def test_layout_knows_normalisation_of_every_kind(classifier: Classifier) -> None:
    layout = classifier.layout()
    assert layout.norms == layout.batch_norms == {n for n in layout.parameters if ".bn." in n}
    assert layout.names == ["stem", "stages.0", "stages.1"]
    with torch.device("meta"):
        model = build(
            composed("model=timm", "model.architecture=vit_tiny_patch16_224")["model"],
            Model,  # type: ignore[type-abstract]
            "model",
        )
        vit = model.build(2, None).layout()
    assert not vit.batch_norms
    assert {name.split(".")[-2] for name in vit.norms} == {"norm1", "norm2", "norm"}


def test_train_does_not_wake_what_is_frozen(classifier: Classifier) -> None:
    classifier.freeze([False, True, True], "trained")
    classifier.eval()
    classifier.train()
    assert not classifier.backbone.stem.training and not classifier.backbone.stem.bn.training
    assert classifier.backbone.stages[0].bn.training and classifier.head.training


def test_freezing_can_be_taken_back(classifier: Classifier) -> None:
    classifier.freeze([False, False, False], "frozen", head=False)
    assert not any(p.requires_grad for p in classifier.parameters())
    assert not classifier.head.training
    classifier.freeze([True, True, True], "trained")
    assert all(p.requires_grad for p in classifier.parameters())
    assert all(module.training for module in classifier.modules())


def test_freeze_keeps_eval_mode(classifier: Classifier) -> None:
    classifier.eval().freeze([True, True, True], "trained")
    assert not any(module.training for module in classifier.modules())


def test_a_list_of_the_wrong_length_is_a_bug(classifier: Classifier) -> None:
    with pytest.raises(AssertionError):
        classifier.freeze([True], "trained")


def test_dropout_of_a_frozen_network_is_still(classifier: Classifier) -> None:
    backbone = timm.create_model("resnet10t", num_classes=0, drop_block_rate=0.5)
    spec = InputSpec(64, (0.5,) * 3, (0.5,) * 3, "bilinear", 1.0)
    network = Classifier(backbone, "avg", nn.Linear(512, 2), spec, 512)
    network.freeze([False] * (len(network.layer_groups()) - 1), "trained")
    network.train()
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(network.features(images), network.features(images))


def test_every_parameter_counts_under_the_default_pooling(classifier: Classifier) -> None:
    assert unused_parameters(classifier) == frozenset()


def test_weights_lie_channels_last(classifier: Classifier) -> None:
    weight = classifier.backbone.stages[0].conv.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_networks_that_timm_cannot_group_are_grouped_by_their_parts() -> None:
    model = build(
        composed("model=timm", "model.architecture=caformer_s18")["model"],
        Model,  # type: ignore[type-abstract]
        "model",
    )
    with torch.device("meta"):
        network = model.build(3, None)
    groups = network.layer_groups()
    assert [group.name for group in groups[:5]] == ["stem", *(f"stages.{i}" for i in range(4))]
    names = [name for group in groups for name in group.parameters]
    assert sorted(names) == sorted(name for name, _ in network.named_parameters())
