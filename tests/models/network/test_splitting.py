"""Frozen prefixes: where a network is parted, and that its halves are the whole."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from small_network import network
from torch import nn
from torch.nn import functional as F

from graftwork.models.network.classifier import Classifier
from graftwork.models.network.splitting import Unsplittable, split

DENSE = {"growth_rate": 4, "block_config": (2, 2, 2)}
# Small relatives: architecture, size, options, the group behind which it is parted, shape there.
FAMILIES: list[tuple[str, int, dict[str, Any], str, tuple[int, ...]]] = [
    ("test_resnet", 32, {}, "layer2", (48, 4, 4)),
    ("test_efficientnet", 32, {}, "blocks.2", (32, 4, 4)),
    ("mobilenetv2_035", 32, {}, "blocks.3", (24, 2, 2)),
    ("vgg11_bn", 32, {"mlp_ratio": 0.001}, "features.11", (256, 4, 4)),
    ("densenet121", 32, DENSE, "features.denseblock1", (8, 4, 4)),
    ("googlenet", 32, {}, "inception4a", (512, 2, 2)),
    ("test_vit", 32, {"dynamic_img_size": False}, "blocks.2", (5, 64)),
    ("test_convnext", 32, {}, "stages.1", (32, 4, 4)),
]  # fmt: skip


def frozen_until(classifier: Classifier, group: str, batch_norm: str = "frozen") -> Classifier:
    """All groups up to this one are frozen."""
    names = [found.name for found in classifier.layer_groups()[:-1]]
    last = names.index(group)
    classifier.freeze([at > last for at in range(len(names))], batch_norm)
    return classifier.train()


def pictures(classifier: Classifier, count: int = 4) -> torch.Tensor:
    side = classifier.input_spec.size
    random = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=random)


def trained(classifier: Classifier, batch: torch.Tensor) -> dict[str, torch.Tensor]:
    """Its weights after three steps."""
    torch.manual_seed(0)  # of GoogLeNet's dropout
    moving = [parameter for parameter in classifier.parameters() if parameter.requires_grad]
    optimiser = torch.optim.SGD(moving, lr=1e-3, momentum=0.9)
    labels = torch.arange(len(batch)) % 3
    for _ in range(3):
        optimiser.zero_grad()
        F.cross_entropy(classifier(classifier.normalise(batch)), labels).backward()
        optimiser.step()
    return classifier.state_dict()


@pytest.mark.parametrize(("name", "size", "options", "group", "shape"), FAMILIES)
def test_training_from_maps_is_training_from_pictures(
    name: str, size: int, options: dict[str, Any], group: str, shape: tuple[int, ...]
) -> None:
    live = network(name, size, **options)
    live.requires_grad_(True)
    resumed = copy.deepcopy(live)
    first = {key: tensor.clone() for key, tensor in live.state_dict().items()}
    expected = trained(frozen_until(live, group), pictures(live))

    halves = split(frozen_until(resumed, group))
    assert halves.shape == shape
    with torch.no_grad():
        maps = halves.prefix(resumed.normalise(pictures(resumed)))
    with resumed.resuming(halves.rest):
        found = trained(resumed, maps)
    for key, tensor in expected.items():
        torch.testing.assert_close(found[key], tensor, rtol=1e-4, atol=1e-6)
    changed = [key for key in first if not torch.equal(first[key], expected[key])]
    prefix = {f"backbone.{key}" for key, _ in _named(halves.prefix)}
    assert changed and not prefix & set(changed)
    assert not [key for key, _ in resumed.named_parameters() if "rest" in key]


def _named(half: nn.Module) -> list[tuple[str, torch.Tensor]]:
    return [(name.removeprefix("backbone."), p) for name, p in half.named_parameters()]


def test_both_halves_share_their_weights_with_the_network() -> None:
    tiny = frozen_until(network("tiny_cnn"), "stages.0")
    halves = split(tiny)
    ours = {id(parameter) for parameter in tiny.backbone.parameters()}
    theirs = [id(p) for half in (halves.prefix, halves.rest) for p in half.parameters()]
    assert set(theirs) == ours and len(theirs) == len(ours)
    assert (halves.boundary, halves.shape, halves.channels_last) == ("stages.0", (32, 8, 8), True)


def test_of_a_frozen_backbone_its_features_are_the_boundary() -> None:
    tiny = frozen_until(network("tiny_cnn"), "stages.1")
    halves = split(tiny)
    assert halves.shape == (64,)
    maps = torch.rand(2, 64)
    assert torch.equal(halves.rest(maps), maps)


def test_where_the_first_layers_are_trained_there_is_no_prefix() -> None:
    tiny = network("tiny_cnn")
    tiny.freeze([True, False, True], "frozen")
    with pytest.raises(Unsplittable, match="first layers are trained"):
        split(tiny)


def test_statistics_that_follow_the_batch_end_the_prefix() -> None:
    tiny = network("tiny_cnn")
    norm = nn.BatchNorm2d(16, affine=False)  # has nothing that could be frozen
    tiny.backbone.stages = nn.Sequential(norm, *tiny.backbone.stages)
    assert split(frozen_until(tiny, "stages.1", "trained")).boundary == "stem"
    assert split(frozen_until(tiny, "stages.1", "frozen")).boundary == "stages.1"


def test_statistics_before_all_layers_leave_no_prefix() -> None:
    tiny = network("tiny_cnn")
    tiny.backbone.stem = nn.Sequential(nn.BatchNorm2d(3, affine=False), tiny.backbone.stem)
    with pytest.raises(Unsplittable, match="its first layers follow each batch"):
        split(frozen_until(tiny, "stages.1", "adapt"))


def test_dropout_between_frozen_layers_ends_the_prefix() -> None:
    tiny = network("tiny_cnn")
    tiny.backbone.stages = nn.Sequential(
        tiny.backbone.stages[0], nn.Dropout(0.5), tiny.backbone.stages[1]
    )
    names = [group.name for group in tiny.layer_groups()[:-1]]
    tiny.freeze([False] * (len(names) - 1) + [True], "frozen")
    assert split(tiny.train()).boundary == "stages.0"
    tiny.backbone.stages[1].p = 0.0
    assert split(tiny).boundary == "stages.1", "at 0 it changes nothing"


def test_what_cannot_be_traced_says_why() -> None:
    tiny = frozen_until(network("tiny_cnn"), "stem")
    plain = tiny.backbone.forward_features

    def by_value(images: torch.Tensor) -> torch.Tensor:
        return plain(images) if images.sum() > 0 else plain(-images)

    tiny.backbone.forward_features = by_value
    with pytest.raises(Unsplittable, match="cannot be traced"):
        split(tiny)


def test_what_tracing_gets_wrong_is_seen() -> None:
    """Here a number that is read once while tracing, and another one afterwards."""
    tiny = frozen_until(network("tiny_cnn"), "stem")
    plain, factors = tiny.backbone.forward_features, iter([1.0, 1.0, 2.0])
    tiny.backbone.forward_features = lambda images: plain(images) * next(factors)
    with pytest.raises(Unsplittable, match="do not give what the whole network gives"):
        split(tiny)
