"""Auxiliary classifiers in the loss, the gradients and the steps of a training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from conftest import composed
from torch import nn
from torch.nn import functional as F

from graftwork.config.components import build
from graftwork.models.auxiliary_places import PLACES
from graftwork.models.base import Model
from graftwork.models.network.classifier import Classifier
from graftwork.models.network.folding import foldable
from graftwork.training.bound_parts import trained_parameters
from graftwork.training.fast_forward import fast_forward
from graftwork.training.graft_module import GraftModule
from graftwork.training.parameter_groups import parameter_groups
from graftwork.transfer.auxiliary import AuxiliaryClassifiers
from graftwork.transfer.bound.auxiliary_heads import AuxiliaryHeads
from graftwork.transfer.bound.cross_entropy import BoundCrossEntropy
from graftwork.transfer.bound.penalty import Outputs
from graftwork.transfer.parts import Facts
from graftwork.transfer.strategy import Transfer

Params = Callable[..., dict[str, Any]]
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])
IMAGES = torch.randint(
    0, 256, (6, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)
BATCH = (IMAGES, LABELS)


def network(name: str = "tiny_cnn", *overrides: str) -> Classifier:
    torch.manual_seed(0)
    model = build(composed(f"model={name}", *overrides)["model"], Model, "model")  # type: ignore[type-abstract]
    return model.build(3, None)


def small_head(channels: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, 8, 1, bias=False),
        nn.BatchNorm2d(8),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 3),
    )


@pytest.fixture
def classifier() -> Classifier:
    return network()


def smoothed(amount: float) -> BoundCrossEntropy:
    return BoundCrossEntropy(3, amount, 0.0, None, None)


@pytest.fixture
def heads() -> AuxiliaryHeads:
    """An auxiliary classifier behind the stem of tiny_cnn, and one behind its first stage."""
    torch.manual_seed(1)
    small = {"stem": small_head(16), "stages.0": small_head(32)}
    return AuxiliaryHeads(small, 0.3, smoothed(0.2))


def strategy(*overrides: str) -> Transfer:
    params = composed("transfer=from_scratch", *overrides)["transfer"]
    return build(params, Transfer, "transfer")


@pytest.fixture
def module(
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., GraftModule]:
    """`module(classifier, heads, *overrides)`: to be stepped by hand; `logged` holds what it
    logged."""

    def made(classifier: Classifier, heads: AuxiliaryHeads, *overrides: str) -> GraftModule:
        penalties = {"auxiliary": heads}
        found = GraftModule(classifier, strategy(*overrides), 3, penalties=penalties).train()
        monkeypatch.setattr(found, "now", lambda: found.moment(0))
        found.logged = {}
        monkeypatch.setattr(
            found, "log", lambda name, value, **_: found.logged.update({name: value})
        )
        monkeypatch.setattr(found, "log_dict", lambda values, **_: None)
        return found

    return made


def step(module: GraftModule) -> torch.Tensor:
    """One step of plain descent; returns the loss that was minimised."""
    module.zero_grad()
    loss = module.training_step(BATCH, 0)
    loss.backward()
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.grad is not None:
                parameter -= 0.1 * parameter.grad
    return loss.detach()


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def changed(before: dict[str, torch.Tensor], module: nn.Module) -> set[str]:
    after = module.state_dict()
    return {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}


def losses(heads: AuxiliaryHeads, classifier: Classifier) -> torch.Tensor:
    """The penalty of the batch."""
    pixels = classifier.normalise(IMAGES)
    with heads.watching(classifier.backbone):
        features = classifier.features(pixels)
    outputs = Outputs(pixels, features, classifier.head(features), LABELS, IMAGES)
    found = heads(outputs, None)
    assert found is not None
    return found


def test_the_loss_is_the_heads_and_the_weighted_auxiliary_ones(
    classifier: Classifier, heads: AuxiliaryHeads, module: Callable[..., GraftModule]
) -> None:
    trained = module(classifier, heads, "transfer.objective.label_smoothing=0.2")
    total = trained.training_step(BATCH, 0).item()

    def loss(logits: torch.Tensor) -> float:
        return F.cross_entropy(logits, LABELS, label_smoothing=0.2).item()

    maps = classifier.backbone.stem(classifier.normalise(IMAGES))
    stem, stage = heads.heads
    further = [loss(stem(maps)), loss(stage(classifier.backbone.stages[0](maps)))]
    main = loss(classifier(classifier.normalise(IMAGES)))
    assert total == pytest.approx(main + 0.3 * sum(further), rel=1e-5)
    assert trained.logged["train/loss"].compute().item() == pytest.approx(main, rel=1e-5)
    logged = trained.logged["train/auxiliary_loss"].compute().item()
    assert logged == pytest.approx(sum(further), rel=1e-5)


def test_training_moves_them_and_every_trained_parameter_has_a_gradient(
    classifier: Classifier, heads: AuxiliaryHeads, module: Callable[..., GraftModule]
) -> None:
    """A data-parallel run would wait for ever for a gradient that does not come."""
    trained = module(classifier, heads)
    before = state(heads)
    first = step(trained)
    assert all(p.grad is not None for p in trained.parameters() if p.requires_grad)
    assert changed(before, heads) == set(before)
    for _ in range(5):
        last = step(trained)
    assert last < first


def test_they_reach_the_layers_below_them_only(
    classifier: Classifier, heads: AuxiliaryHeads
) -> None:
    heads.freeze([("backbone.stem.x",), ("backbone.stages.0.x",)], [True, False])
    heads.active = ("stem",)
    losses(heads, classifier).backward()
    with_gradient = {
        n.split(".")[1] for n, p in classifier.named_parameters() if p.grad is not None
    }
    assert with_gradient == {"stem"}


def test_a_pass_that_is_not_watched_runs_none_of_them(
    classifier: Classifier, heads: AuxiliaryHeads
) -> None:
    images = classifier.eval().normalise(IMAGES)
    with heads.watching(classifier.backbone):
        assert torch.equal(classifier(images), network().eval()(images))
    heads.maps.clear()
    classifier(images)
    assert not heads.maps and not any(m._forward_hooks for m in classifier.modules())


@pytest.mark.parametrize(
    ("trainable", "active"),
    [
        ("head_only", ()),
        ("all", ("stem", "stages.0")),
        ("from_group first=stages.0", ("stages.0",)),
        ("from_group first=stages.1", ()),
    ],
)
def test_those_with_nothing_trained_before_them_are_off(
    trainable: str,
    active: tuple[str, ...],
    classifier: Classifier,
    heads: AuxiliaryHeads,
    module: Callable[..., GraftModule],
) -> None:
    kind, _, rest = trainable.partition(" ")
    overrides = [f"transfer/trainable={kind}", *([f"transfer.trainable.{rest}"] if rest else [])]
    trained = module(classifier, heads, *overrides)
    assert heads.active == active
    before = state(heads)
    step(trained)
    moved = {name.split(".")[1] for name in changed(before, heads)}
    assert moved == {str(("stem", "stages.0").index(place)) for place in active}
    assert ("train/auxiliary_loss" in trained.logged) == bool(active)
    asked = {p for p in heads.parameters() if p.requires_grad}
    assert all(p.grad is not None for p in asked) and bool(asked) == bool(active)


def test_they_are_paced_like_the_head(classifier: Classifier, heads: AuxiliaryHeads) -> None:
    transfer = strategy("transfer/rates=layer_decay")
    rates = {
        id(p): group["lr"]
        for group in parameter_groups(classifier, transfer, further=[*heads.parameters()])
        for p in group["params"]
    }
    assert {rates[id(p)] for p in heads.parameters()} == {transfer.rates.of(0, size=1.0)}
    assert len(rates) == len([*classifier.parameters(), *heads.parameters()])


def test_frozen_batch_norm_is_the_backbones_and_folding_changes_nothing(
    classifier: Classifier, heads: AuxiliaryHeads, module: Callable[..., GraftModule]
) -> None:
    trained = module(classifier, heads, "transfer.batch_norm=frozen")
    before, theirs = state(classifier), state(heads)
    gradients = []
    for fold in (False, True):
        classifier.load_state_dict(before)
        trained.zero_grad()
        pairs = foldable(classifier) if fold else []
        with fast_forward(classifier, fold=pairs, depthwise_fp32=False):
            trained.training_step(BATCH, 0).backward()
        gradients.append([p.grad for p in trained.parameters() if p.grad is not None])
    for plain, folded in zip(*gradients, strict=True):
        torch.testing.assert_close(folded, plain, atol=1e-5, rtol=1e-3)
    assert not {name for name in changed(before, classifier) if "running" in name}
    assert {n for n in changed(theirs, heads) if "running" in n} == {
        n for n in theirs if "running" in n
    }


def bound(classifier: Classifier, weight: float, num_classes: int, seed: int) -> Any:
    return AuxiliaryClassifiers(weight).bound(
        classifier, smoothed(0.0), Facts.even(num_classes, seed), None
    )


def test_a_training_has_new_ones_of_its_own() -> None:
    classifier = network("googlenet", "model.input_size=32")
    plain = state(classifier)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with bound(classifier, 0.3, num_classes=4, seed=1) as heads:
        assert torch.equal(torch.rand(3), expected), "the generator is left as it was"
        assert heads.places == tuple(PLACES["googlenet"].values())
        first = state(heads)
        assert losses(heads, classifier) > 0
        module = GraftModule(classifier, strategy(), 4, penalties={"auxiliary": heads})
        everything, auxiliary = trained_parameters(module)
        assert auxiliary == sum(p.numel() for p in heads.parameters())
        assert everything == sum(t.numel() for t in classifier.backbone.parameters()) + 3 * 1025
    assert list(state(classifier)) == list(plain)
    with bound(classifier, 0.3, num_classes=4, seed=1) as again:
        assert not changed(first, again), "the same seed gives the same start"
    with bound(classifier, 0.0, num_classes=4, seed=1) as none:
        assert none is None


def test_checkpointing_changes_no_gradient_of_theirs() -> None:
    classifier = network("googlenet", "model.input_size=32")
    gradients = []
    for enable in (False, True):
        classifier.backbone.set_grad_checkpointing(enable)
        classifier.zero_grad()
        with bound(classifier, 0.3, num_classes=3, seed=0) as heads:
            torch.manual_seed(0)  # of the dropout
            losses(heads, classifier).backward()
        parameters = [*classifier.parameters(), *heads.parameters()]
        gradients.append([p.grad.clone() for p in parameters if p.grad is not None])
    assert len(gradients[0]) == len(gradients[1]) > 50
    for plain, again in zip(*gradients, strict=True):
        torch.testing.assert_close(again, plain)


def test_inception_v3_trains_with_its_own(module: Callable[..., GraftModule]) -> None:
    classifier = network("timm", "model.architecture=inception_v3", "model.input_size=96")
    with bound(classifier, 0.4, num_classes=3, seed=0) as heads:
        trained = module(classifier, heads)
        images = torch.randint(0, 256, (3, 96, 96, 3), dtype=torch.uint8)
        trained.training_step((images, LABELS[:3]), 0).backward()
        asked = [p for p in trained.parameters() if p.requires_grad]
        assert all(p.grad is not None for p in asked)
        assert trained.logged["train/auxiliary_loss"].compute() > 0
