"""What is trained, and when: pure functions of names and of the moment."""

from __future__ import annotations

import math

import pytest

from graftwork.config.errors import UserError
from graftwork.models.network.layer_groups import LayerGroup
from graftwork.models.network.layout import Executed, Layout
from graftwork.transfer.parts import Moment, Trainable
from graftwork.transfer.trainable import All, Blocks, LastGroups
from graftwork.transfer.trainable_parameters import BiasOnly, LaterLayers, Matching, NormOnly
from graftwork.transfer.trainable_schedules import Gradual, OnPlateau, plateaus

GROUPS = ["stem", "layer1", "layer2", "layer3", "layer4"]
FIRST = Moment.of_epoch(0, 9)


def layout() -> Layout:
    """Two groups of a convolution and a BatchNorm; the second has a scale of its own as well."""
    groups = tuple(
        LayerGroup(name, tuple(f"backbone.{name}.{own}" for own in names))
        for name, names in (
            ("stem", ["conv.weight", "conv.bias", "bn.weight", "bn.bias"]),
            ("block", ["conv.weight", "bn.weight", "bn.bias", "gamma", "attn.q_bias"]),
        )
    )
    norms = frozenset(n for g in groups for n in g.parameters if ".bn." in n)
    executed = [
        layer
        for name in ("stem", "block")
        for layer in (
            Executed("convolution", (f"backbone.{name}.conv.weight", f"backbone.{name}.conv.bias")),
            Executed("normalisation", (f"backbone.{name}.bn.weight", f"backbone.{name}.bn.bias")),
            Executed("activation", ()),
        )
    ]
    return Layout(groups, norms, norms, lambda: executed)


def short(trained: frozenset[str]) -> list[str]:
    return sorted(name.removeprefix("backbone.") for name in trained)


@pytest.mark.parametrize(
    ("trainable", "expected"),
    [
        (LastGroups(2), [0, 0, 0, 1, 1]),
        (LastGroups(0), [0, 0, 0, 0, 0]),
        (LastGroups(5), [1, 1, 1, 1, 1]),
        (Blocks(["first"]), [1, 1, 0, 0, 0]),
        (Blocks(["middle"]), [0, 0, 1, 0, 0]),
        (Blocks(["last"]), [0, 0, 0, 0, 1]),
        (Blocks(["layer3", "stem"]), [1, 0, 0, 1, 0]),
    ],
)
def test_groups(trainable: Trainable, expected: list[int]) -> None:
    assert trainable.groups(GROUPS, FIRST) == [bool(train) for train in expected]


@pytest.mark.parametrize("block", ["first", "middle", "last"])
def test_every_network_has_the_named_blocks(block: str) -> None:
    for count in range(1, 8):
        assert sum(Blocks([block]).groups([str(at) for at in range(count)], FIRST)) in (1, 2)


@pytest.mark.parametrize(
    ("trainable", "message"),
    [
        (LastGroups(6), r"count: 6 is out of bounds. Legal: 0 to 5 .*layer4"),
        (Blocks(["midle"]), r"blocks: 'midle' is unknown. Did you mean 'middle'.*layer2"),
    ],
)
def test_what_a_network_lacks_is_refused(trainable: Trainable, message: str) -> None:
    assert trainable.names_groups
    with pytest.raises(UserError, match=message):
        trainable.groups(GROUPS, FIRST)


def test_parameters_are_those_of_the_groups_unless_a_part_says_otherwise() -> None:
    assert All().parameters(layout(), FIRST) == frozenset(layout().parameters)
    last = LastGroups(1)
    assert last.parameters(layout(), FIRST) == frozenset(layout().groups[1].parameters)
    assert last.ever_parameters(layout(), 0) == frozenset()
    assert last.ever_parameters(layout(), 3) == last.parameters(layout(), FIRST)


def test_normalisation_and_biases() -> None:
    norms = ["block.bn.bias", "block.bn.weight", "stem.bn.bias", "stem.bn.weight"]
    assert short(NormOnly().parameters(layout(), FIRST)) == norms
    biases = ["block.attn.q_bias", "block.bn.bias", "stem.bn.bias", "stem.conv.bias"]
    assert short(BiasOnly().parameters(layout(), FIRST)) == biases


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("block.bn", ["block.bn.bias", "block.bn.weight"]),
        ("*.conv.weight", ["block.conv.weight", "stem.conv.weight"]),
        ("stem.b?", ["stem.bn.bias", "stem.bn.weight"]),
        ("/^stem.*bias$/", ["stem.bn.bias", "stem.conv.bias"]),
    ],
)
def test_patterns(pattern: str, expected: list[str]) -> None:
    assert short(Matching([pattern]).parameters(layout(), FIRST)) == expected


def test_patterns_add_up_and_one_without_a_match_is_an_error_with_the_nearest_names() -> None:
    both = Matching(["stem.conv", "block.gamma"]).parameters(layout(), FIRST)
    assert short(both) == ["block.gamma", "stem.conv.bias", "stem.conv.weight"]
    with pytest.raises(UserError, match=r"'blck.bn' is unknown. Did you mean 'block.bn'.*nearest"):
        Matching(["stem.conv", "blck.bn"]).parameters(layout(), FIRST)
    with pytest.raises(UserError, match=r"'/\(/' is no regular expression"):
        Matching(["/(/"])


def test_layers_are_counted_as_they_are_executed() -> None:
    """A scale that no layer has waits for the last layer of its module, or of its group."""
    block = ["block.attn.q_bias", "block.bn.bias", "block.bn.weight", "block.gamma"]
    assert short(LaterLayers("4").parameters(layout(), FIRST)) == block
    assert LaterLayers("67%").parameters(layout(), FIRST) == LaterLayers("4").chosen(layout())
    assert short(LaterLayers("5").parameters(layout(), FIRST)) == []
    assert LaterLayers("0").parameters(layout(), FIRST) == frozenset(layout().parameters)
    (note,) = LaterLayers("4").notes(layout())
    assert "The first 4 of 6 layers" in note and "stem 3 of 3, block 1 of 3" in note


def test_a_wrong_number_of_layers_is_refused() -> None:
    with pytest.raises(UserError, match=r"7 is out of bounds. Legal: 0 to 6.*stem ends at 3"):
        LaterLayers("7").parameters(layout(), FIRST)
    for wrong in ("-1", "half", "101%", "%"):
        with pytest.raises(UserError, match="is no number of layers"):
            LaterLayers(wrong)


def test_groups_join_in_from_the_last_one_down() -> None:
    """One group an epoch, as in ULMFiT, where five groups have five epochs."""
    gradual = Gradual(first=0, frozen_share=0.0, until=0.5)
    counts = [sum(gradual.groups(GROUPS, Moment.of_epoch(e, 10))) for e in range(10)]
    assert counts == [0, 1, 2, 3, 4, 5, 5, 5, 5, 5]
    assert gradual.groups(GROUPS, Moment.of_epoch(2, 10)) == [False] * 3 + [True] * 2
    assert gradual.ever(GROUPS, 10) == [True] * 5
    some = Gradual(first=1, frozen_share=0.4, until=1.0)
    counts = [sum(some.groups(GROUPS, Moment.of_epoch(e, 4))) for e in range(4)]
    assert counts == [1, 1, 2, 2] and some.ever(GROUPS, 4) == [False, False, False, True, True]


def test_a_plateau_is_so_many_epochs_without_a_better_loss() -> None:
    assert plateaus([], 2, 0.0) == plateaus([1.0], 2, 0.0) == []
    assert plateaus([1.0, 0.9, 0.9, 0.91, 0.8, 0.8, 0.8], 2, 0.0) == [4, 7]
    assert plateaus([1.0, 0.99, 0.98], 1, 0.05) == [2, 3]  # too little to count
    assert plateaus([math.nan, 1.0, math.nan, 2.0], 2, 0.0) == [4]
    assert plateaus([1.0] * 6, 2, 0.0) == [3, 5]  # the next one has as many epochs


def test_a_plateau_unfreezes_one_group_and_the_same_record_gives_the_same_decision() -> None:
    part = OnPlateau(first=1, frozen_share=0.2, patience=1, least_gain=0.0)
    assert part.needs_validation
    losses = (1.0, 0.5, 0.6, 0.4, 0.4)
    counts = [sum(part.groups(GROUPS, Moment.of_epoch(e, 9, losses[:e]))) for e in range(6)]
    assert counts == [1, 1, 1, 2, 2, 3]
    assert part.ever(GROUPS, 2) == [False] * 4 + [True]
    assert part.ever(GROUPS, 9) == [False] + [True] * 4
