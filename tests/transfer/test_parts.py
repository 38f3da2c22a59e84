"""The parts of a strategy: bounds, and what each of them says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from graftwork.config.errors import UserError
from graftwork.data.folds import NEVER, stratified
from graftwork.transfer.head_init import AsBuilt, ConvergedProbe
from graftwork.transfer.optimisers import AdamW
from graftwork.transfer.parts import Examples, Moment
from graftwork.transfer.rates import LayerDecay, RelativeStep, Uniform
from graftwork.transfer.schedules import WarmupCosine
from graftwork.transfer.trainable import All, FromGroup, HeadOnly, LaterGroups

GROUPS = ["stem", "blocks.0", "blocks.1"]
FIRST = Moment.of_epoch(0, 9)


@pytest.mark.parametrize(
    ("trainable", "expected"),
    [
        (All(), [True, True, True]),
        (HeadOnly(), [False, False, False]),
        (FromGroup("blocks.1"), [False, False, True]),
        (FromGroup("stem"), [True, True, True]),
        (FromGroup("1"), [False, True, True]),
        (FromGroup("0"), [True, True, True]),
        (FromGroup("3"), [False, False, False]),
    ],
)
def test_trainable(trainable: All, expected: list[bool]) -> None:
    assert trainable.groups(GROUPS, FIRST) == expected
    assert trainable.groups(GROUPS, Moment.of_epoch(7, 9)) == expected


def test_a_group_that_matches_nothing_is_an_error_with_the_legal_names() -> None:
    with pytest.raises(UserError, match=r"block\.1.*Did you mean 'blocks\.1'.*stem"):
        FromGroup("block.1").groups(GROUPS, FIRST)
    with pytest.raises(UserError, match=r"4 is out of bounds.*0 to 3.*stem"):
        FromGroup("4").groups(GROUPS, FIRST)


def test_rates() -> None:
    assert [Uniform(0.1).of(depth, size=3.0) for depth in (0, 1, 5)] == [0.1] * 3
    rates = LayerDecay(head_lr=0.8, backbone_factor=0.5, layer_decay=0.1)
    assert [rates.of(d, size=3.0) for d in range(4)] == pytest.approx([0.8, 0.4, 0.04, 0.004])


def test_rates_that_follow_from_the_weights() -> None:
    rates = RelativeStep(step=0.1, backbone_factor=0.5, layer_decay=0.2, smallest=0.01)
    shares = [rates.of(depth, size=2.0) / 2.0 for depth in range(4)]
    assert shares == pytest.approx([0.1, 0.05, 0.01, 0.002])
    assert rates.of(1, size=4.0) == 2 * rates.of(1, size=2.0)
    assert rates.of(0, size=0.0) == rates.of(0, size=0.01) == pytest.approx(0.001)  # new biases


def test_rates_warm_up_and_fall_to_nothing() -> None:
    def factor(step: int, warmup: float = 0.1, steps: int = 100) -> float:
        return WarmupCosine(warmup).factor(Moment(step, steps, 0, 1))

    factors = [factor(step) for step in range(101)]
    assert 0 < factors[0] < 0.1
    assert np.diff(factors[:11]).min() > 0 and factors[10] == 1.0
    assert np.diff(factors[10:]).max() <= 0 and factors[100] == 0.0
    assert factors[55] == pytest.approx(0.5)
    assert factor(0, warmup=0.0, steps=10) == 1.0


def test_what_is_ever_trained() -> None:
    class Unfreezing(All):
        def groups(self, names: Sequence[str], moment: Moment) -> list[bool]:
            return [index >= len(names) - moment.epoch for index in range(len(names))]

    assert Unfreezing().ever(GROUPS, epochs=3) == [False, True, True]
    assert Unfreezing().ever(GROUPS, epochs=0) == [False, False, False]


def wrong_parts() -> list:
    probe = {"strengths": [1e-3], "standardise": 0.5}
    step = {"step": 0.1, "backbone_factor": 1.0, "layer_decay": 0.5, "smallest": 0.01}
    return [
        (lambda: Uniform(0.0), "lr"),
        (lambda: LayerDecay(1e-3, 1.0, 1.5), "layer_decay"),
        (lambda: LayerDecay(-1.0, 1.0, 0.5), "head_lr"),
        (lambda: LayerDecay(1e-3, 0.0, 0.5), "backbone_factor"),
        (lambda: AdamW(-0.1), "weight_decay"),
        (lambda: LaterGroups(1.5), "frozen_share"),
        (lambda: RelativeStep(**step | {"step": 0.0}), "step"),
        (lambda: RelativeStep(**step | {"backbone_factor": 0.0}), "backbone_factor"),
        (lambda: RelativeStep(**step | {"layer_decay": 1.5}), "layer_decay"),
        (lambda: RelativeStep(**step | {"smallest": 0.0}), "smallest"),
        (lambda: ConvergedProbe(**probe | {"strengths": []}), "strengths"),
        (lambda: ConvergedProbe(**probe | {"strengths": [0.0]}), "strengths"),
        (lambda: ConvergedProbe(**probe | {"standardise": 2.0}), "standardise"),
    ]


@pytest.mark.parametrize(("make", "field"), wrong_parts())
def test_bounds(make, field: str) -> None:
    with pytest.raises(UserError, match=f"^{field}.*out of bounds"):
        make()


def test_the_head_as_built_needs_nothing() -> None:
    assert not AsBuilt().needs_features


def test_the_converged_probe_separates_what_can_be_separated() -> None:
    random = np.random.default_rng(0)
    labels = np.arange(60) % 3
    features = (np.eye(8)[labels] * 4 + random.normal(0, 0.3, (60, 8))).astype(np.float32)
    part = ConvergedProbe(strengths=[1e-2, 1e-4], standardise=0.5)
    head = part.fit(Examples(features, labels, 3, stratified(labels, 3, seed=0), 0))
    assert {tensor.dtype for tensor in head.tensors.values()} == {np.dtype(np.float32)}
    assert (head.logits(features).argmax(1) == labels).all()
    assert head.facts["probe/cv_top1"] == 1.0
    assert head.facts["probe/strength"] in (1e-2, 1e-4)
    assert (head.held_out.argmax(1) == labels).all() and head.held_out.sum(1) == pytest.approx(1)


def test_what_a_head_chose_is_the_only_choice_of_its_like() -> None:
    random = np.random.default_rng(1)
    labels = np.arange(60) % 3
    features = (np.eye(8)[labels] + random.normal(0, 1, (60, 8))).astype(np.float32)
    fold = stratified(labels, 3, seed=0)
    head = ConvergedProbe([1.0, 1e-1, 1e-2, 1e-4], 0.5).fit(Examples(features, labels, 3, fold, 0))
    assert head.fixed == ConvergedProbe([head.facts["probe/strength"]], 0.5)
    again = head.fixed.fit(Examples(features, labels, 3, fold, 0))
    alone = head.fixed.cross_validated(Examples(features, labels, 3, fold, 0))
    np.testing.assert_array_equal(alone, again.held_out)
    assert again.facts["probe/strength"] == head.facts["probe/strength"]
    np.testing.assert_allclose(again.tensors["weight"], head.tensors["weight"], atol=1e-2)


def test_one_strength_alone_is_told_how_good_it_is_but_chosen_by_nobody() -> None:
    features, labels = np.eye(4, dtype=np.float32)[np.arange(8) % 4], np.arange(8) % 4
    part = ConvergedProbe([1e-2], 0.0)
    facts = part.fit(Examples(features, labels, 4, stratified(labels, 2, seed=0), 0)).facts
    assert facts["probe/strength"] == 1e-2 and facts["probe/cv_top1"] == 1.0
    nobody = part.fit(Examples(features, labels, 4, np.full(8, NEVER), 0))
    assert nobody.facts == {"probe/strength": 1e-2}
    assert np.isnan(nobody.held_out).all()


@pytest.mark.parametrize(("share", "frozen"), [(0.0, 0), (0.3, 3), (0.39, 3), (0.99, 9), (1.0, 10)])
def test_later_groups_freezes_a_share_rounded_down(share: float, frozen: int) -> None:
    names = [f"blocks.{index}" for index in range(10)]
    assert LaterGroups(share).groups(names, FIRST) == [False] * frozen + [True] * (10 - frozen)
