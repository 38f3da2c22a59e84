"""What holds a network near its start: values by hand, and what they leave alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from conftest import composed
from small_network import network

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.models.network.classifier import Classifier
from graftwork.models.network.group_outputs import group_outputs
from graftwork.training.graft_module import GraftModule
from graftwork.training.parameter_groups import parameter_groups
from graftwork.transfer.bound.channel_attention import channel_attention, even
from graftwork.transfer.bound.cross_entropy import BoundCrossEntropy
from graftwork.transfer.bound.feature_maps import MapsOfTheStart, last_places
from graftwork.transfer.bound.penalty import BoundPenalty, Outputs
from graftwork.transfer.bound.resting import first_network
from graftwork.transfer.bound.spectrum import SmallestSingularValues
from graftwork.transfer.parts import Facts, Moment
from graftwork.transfer.penalties import L2SP, BatchSpectralShrinkage, Delta
from graftwork.transfer.strategy import Transfer

IMAGES = torch.randint(
    0, 256, (6, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])
NOW = Moment.of_epoch(0, 1)
OBJECTIVE = BoundCrossEntropy(3, 0.0, 0.0, None, None)


class Shown:
    """Has these pictures at hand."""

    def pictures(self, count: int | None) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        yield IMAGES[:4], LABELS[:4]
        yield IMAGES[4:], LABELS[4:]


@pytest.fixture
def classifier() -> Classifier:
    return network("tiny_cnn").train()


def bound(part: Any, classifier: Classifier) -> BoundPenalty:
    with part.bound(classifier, OBJECTIVE, Facts.even(3), Shown()) as penalty:
        return penalty


def value(penalty: BoundPenalty, classifier: Classifier) -> torch.Tensor | None:
    pixels = classifier.normalise(IMAGES)
    with penalty.watching(classifier.backbone):
        features = classifier.features(pixels)
    logits = classifier.head(features)
    return penalty(Outputs(pixels, features, logits, LABELS, IMAGES), NOW)


def freeze(penalty: BoundPenalty, classifier: Classifier, trained: Sequence[bool]) -> None:
    classifier.freeze(trained, "trained")
    penalty.freeze([group.parameters for group in classifier.layer_groups()[:-1]], trained)


def strategy(*overrides: str) -> Transfer:
    return build(composed(*overrides)["transfer"], Transfer, "transfer")


# l2_sp
def test_l2_sp_by_hand(classifier: Classifier) -> None:
    penalty = bound(L2SP(weight=0.3, head_weight=0.5), classifier)
    head = sum(p.detach().square().sum().item() for p in classifier.head.parameters())
    assert value(penalty, classifier).item() == pytest.approx(0.25 * head)
    count = sum(p.numel() for p in classifier.backbone.parameters())
    with torch.no_grad():
        for parameter in classifier.backbone.parameters():
            parameter += 0.1
        for parameter in classifier.head.parameters():
            parameter.fill_(2.0)
    heads = sum(p.numel() for p in classifier.head.parameters())
    expected = 0.15 * 0.01 * count + 0.25 * 4 * heads
    assert value(penalty, classifier).item() == pytest.approx(expected, rel=1e-4)
    assert penalty.weight == 1.0 and not [*penalty.parameters()] and not penalty.state_dict()


def test_l2_sp_looks_at_what_is_trained_alone(classifier: Classifier) -> None:
    penalty = bound(L2SP(weight=2.0, head_weight=0.0), classifier)
    freeze(penalty, classifier, [False, False, True])
    with torch.no_grad():
        for parameter in classifier.backbone.parameters():
            parameter += 1.0
    moved = sum(p.numel() for p in classifier.backbone.stages[1].parameters())
    assert value(penalty, classifier).item() == pytest.approx(moved, rel=1e-4)
    classifier.requires_grad_(False)
    assert value(penalty, classifier) is None


def test_l2_sp_takes_the_place_of_weight_decay(classifier: Classifier) -> None:
    transfer = strategy("transfer=l2_sp", "transfer.optimiser.weight_decay=0.3")
    penalty = bound(L2SP(0.1, 0.1), classifier)
    module = GraftModule(classifier, transfer, 3, penalties={"l2_sp": penalty})
    decays = {g["weight_decay"] for g in parameter_groups(classifier, transfer)}
    left = {
        g["weight_decay"]
        for g in parameter_groups(classifier, transfer, covered=module.penalties.l2_sp.covered)
    }
    assert decays == {0.0, 0.3} and left == {0.0}


# bss
def outputs(features: torch.Tensor) -> Outputs:
    return Outputs(features, features, features, LABELS, IMAGES)


def test_bss_of_known_singular_values() -> None:
    random = torch.Generator().manual_seed(0)
    left, _ = torch.linalg.qr(torch.randn(6, 6, generator=random))
    right, _ = torch.linalg.qr(torch.randn(9, 6, generator=random))
    matrix = left @ torch.diag(torch.tensor([5.0, 4.0, 3.0, 2.0, 0.5, 0.1])) @ right.T
    for count, expected in ((1, 0.01), (2, 0.26), (3, 4.26), (99, 54.26)):
        found = SmallestSingularValues(1.0, count)(outputs(matrix), NOW)
        assert found.item() == pytest.approx(expected, rel=1e-3)
        assert SmallestSingularValues(1.0, count)(outputs(matrix.T), NOW).item() == pytest.approx(
            expected, rel=1e-3
        )


@pytest.mark.parametrize("values", [[2.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
def test_bss_has_a_finite_gradient_where_two_are_equal(values: list[float]) -> None:
    matrix = torch.cat([torch.diag(torch.tensor(values)), torch.zeros(3, 2)], 1).requires_grad_()
    SmallestSingularValues(1.0, 2)(outputs(matrix), NOW).backward()
    assert matrix.grad.isfinite().all()
    expected = torch.zeros(3, 5)
    if values[0] > values[1]:  # else which two are the smallest is open
        expected[1, 1], expected[2, 2] = 2 * values[1], 2 * values[2]
        torch.testing.assert_close(matrix.grad, expected)


def test_bss_is_off_where_features_cannot_follow(classifier: Classifier) -> None:
    penalty = bound(BatchSpectralShrinkage(0.1, 1), classifier)
    assert value(penalty, classifier) is not None
    freeze(penalty, classifier, [False, False, False])
    assert value(penalty, classifier) is None


# delta
def test_delta_is_nothing_at_the_start_and_known_behind_it(classifier: Classifier) -> None:
    classifier.eval()
    plain = Delta(0.3, layers=2, attention=False, attention_pictures=1, sharpness=1.0)
    penalty = bound(plain, classifier)
    places = last_places(classifier, 2)
    assert penalty.places == tuple(places) and penalty.weight == 0.3
    assert value(penalty, classifier).item() == pytest.approx(0, abs=1e-6)

    def maps() -> dict[str, torch.Tensor]:
        found = {}
        modules = [classifier.backbone.get_submodule(place) for place in places]
        hooks = [
            m.register_forward_hook(lambda m, i, o, p=p: found.update({p: o.clone()}))
            for p, m in zip(places, modules, strict=True)
        ]
        classifier(classifier.normalise(IMAGES))
        for hook in hooks:
            hook.remove()
        return found

    before = maps()
    with torch.no_grad():
        for parameter in classifier.backbone.parameters():
            parameter *= 1.1
    after = maps()
    # Attention 1/C makes the C of the formula 1: half the squared distance over H W, a picture.
    expected = sum(
        ((after[p] - before[p]) ** 2).sum() / after[p][0, 0].numel() / 2 / len(IMAGES)
        for p in places
    )
    torch.testing.assert_close(value(penalty, classifier), expected, rtol=1e-3, atol=1e-5)


def test_delta_weighs_channels_by_attention(classifier: Classifier) -> None:
    source = first_network(classifier)
    (place,) = last_places(classifier, 1)
    (count,) = {len(v) for v in even(source, [place]).values()}
    first = torch.zeros(count)
    first[3] = 0.25
    penalty = MapsOfTheStart(source, {place: first}, 1.0)
    maps = torch.zeros(2, count, 4, 4)
    other = maps.clone()
    other[:, 3] += 2.0
    other[:, 5] += 9.0  # nobody looks at it
    assert penalty._apart(place, other, maps).item() == pytest.approx(0.25 * count * 4 / 2)


@pytest.mark.parametrize(
    ("trained", "active"),
    [
        ([True, True, True], 2),
        ([False, True, True], 2),
        ([False, False, True], 1),
        ([False] * 3, 0),
    ],
)
def test_delta_compares_what_can_move(
    trained: list[bool], active: int, classifier: Classifier
) -> None:
    penalty = bound(Delta(1.0, 2, False, 1, 1.0), classifier)
    freeze(penalty, classifier, trained)
    assert len(penalty.active) == active
    assert (value(penalty, classifier) is None) == (active == 0)


def test_delta_moves_the_network_and_not_its_source(classifier: Classifier) -> None:
    """The source keeps eval mode and its statistics, whatever Lightning calls."""
    penalty = bound(Delta(1.0, 2, False, 1, 1.0), classifier)
    module = GraftModule(classifier, strategy("transfer=from_scratch"), 3, penalties={"d": penalty})
    module.train()
    assert not any(part.training for part in penalty.source.modules())
    before = {n: t.clone() for n, t in penalty.source.state_dict().items()}
    loss = module.minimised(IMAGES, LABELS, NOW)
    loss.penalties["d"].backward()  # by the batch's statistics the maps are others
    assert all(p.grad is None for p in penalty.source.parameters())
    assert any(p.grad is not None and p.grad.any() for p in classifier.backbone.parameters())
    after = penalty.source.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


@pytest.mark.parametrize("architecture", ["tiny_cnn", "vit_tiny_patch16_224"])
def test_attention_is_how_much_the_loss_rises_without_a_channel(architecture: str) -> None:
    options = {} if architecture == "tiny_cnn" else {"depth": 2, "embed_dim": 12, "num_heads": 2}
    classifier = network(architecture, 32, **options)
    source = first_network(classifier)
    places = last_places(classifier, 2)
    found = channel_attention(source, places, Shown().pictures(None), OBJECTIVE, 1.0)
    ends = {output.module for output in group_outputs(classifier)}
    for place in places:
        module = classifier.backbone.get_submodule(place)
        assert module in ends
        axis = 1 if architecture == "tiny_cnn" else 2

        def loss(without: int | None, module: Any = module, axis: int = axis) -> torch.Tensor:
            def silence(module: Any, inputs: Any, output: torch.Tensor) -> torch.Tensor:
                changed = output.clone()
                if without is not None:
                    changed.select(axis, without).zero_()
                return changed

            hook = module.register_forward_hook(silence)
            with torch.no_grad():
                logits = classifier(classifier.normalise(IMAGES))
            hook.remove()
            return OBJECTIVE(logits, LABELS)

        rise = torch.stack([loss(c) - loss(None) for c in range(len(found[place]))])
        scaled = (rise - rise.mean()) / rise.std(correction=0)
        torch.testing.assert_close(found[place], scaled.softmax(0), rtol=2e-2, atol=1e-4)
        assert found[place].sum().item() == pytest.approx(1.0)


def test_channels_that_do_nothing_count_alike(classifier: Classifier) -> None:
    with torch.no_grad():
        classifier.head.weight.zero_()
    source = first_network(classifier)
    places = last_places(classifier, 1)
    found = channel_attention(source, places, Shown().pictures(None), OBJECTIVE, 1.0)
    torch.testing.assert_close(found, even(source, places))


# strategies
def test_what_holds_on_to_the_start_needs_one() -> None:
    with pytest.raises(UserError, match=r"penalties\.l2_sp.*random.*start=registry"):
        strategy("transfer=l2_sp", "transfer/start=random")
    with pytest.raises(UserError, match=r"penalties\.delta.*untrained.*attention=false"):
        strategy(
            "transfer=delta", "transfer/head_init=as_built",
            "transfer.average.trained_shares=[1.0]",
        )  # fmt: skip
    plain = strategy(
        "transfer=delta", "transfer/head_init=as_built", "transfer.average.trained_shares=[1.0]",
        "transfer.penalties.delta.attention=false",
    )  # fmt: skip
    assert not plain.penalties["delta"].needs_fitted_head


@pytest.mark.parametrize("name", ["l2_sp", "bss", "delta"])
def test_named_strategies_hold_their_penalty(name: str) -> None:
    found = strategy(
        f"transfer={name}", "transfer/trainable=from_group", "transfer.trainable.first=2"
    )
    assert found.name == name and name in found.penalties


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L2SP(-1.0, 0.0), "weight"),
        (lambda: BatchSpectralShrinkage(0.1, 0), "count"),
        (lambda: Delta(0.1, 0, True, 1, 1.0), "layers"),
        (lambda: Delta(0.1, 1, True, 0, 1.0), "attention_pictures"),
    ],
)
def test_bounds(make: Any, message: str) -> None:
    with pytest.raises(UserError, match=f"{message}.*out of bounds"):
        make()
