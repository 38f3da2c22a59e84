from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from conftest import composed

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.transfer.parts import Moment
from graftwork.transfer.starts import Random
from graftwork.transfer.strategy import Transfer

Params = Callable[..., dict[str, Any]]


def strategy(*overrides: str) -> Transfer:
    return build(composed(*overrides)["transfer"], Transfer, "transfer")


@pytest.mark.parametrize("name", ["linear_probe", "lp_ft", "fine_tune", "from_scratch"])
def test_each_strategy_is_named_as_its_file(name: str) -> None:
    assert strategy(f"transfer={name}").name == name


def test_the_strategies_differ_where_they_should() -> None:
    assert strategy("transfer=linear_probe").epochs == 0
    assert strategy("transfer=linear_probe").head_init.needs_features
    assert strategy("transfer=lp_ft").head_init.needs_features
    assert strategy("transfer=lp_ft").batch_norm == "frozen"
    assert not strategy("transfer=fine_tune").head_init.needs_features
    assert isinstance(strategy("transfer=from_scratch").start, Random)
    assert strategy("transfer=from_scratch").batch_norm == "trained"


def test_parts_are_exchanged_by_one_key() -> None:
    found = strategy("transfer/trainable=from_group", "transfer.trainable.first=blocks.3")
    assert found.trainable.groups(["stem", "blocks.3"], Moment.of_epoch(0, 5)) == [False, True]


def test_a_warm_up_longer_than_the_training_is_refused() -> None:
    with pytest.raises(UserError, match=r"transfer\.schedule\.warmup: 9\.0 .*<= 1"):
        strategy("transfer.schedule.warmup=9")


def test_lp_ft_may_end_where_it_began_and_others_may_not() -> None:
    assert strategy("transfer=lp_ft").average.trained_shares[0] == 0
    assert strategy("transfer=fine_tune").average.trained_shares == [1.0]
    with pytest.raises(UserError, match=r"trained_shares: 0 .* untrained head.*converged_probe"):
        strategy("transfer=fine_tune", "transfer.average.trained_shares=[0.0,1.0]")


def test_weights_between_two_networks_need_frozen_statistics() -> None:
    with pytest.raises(UserError, match=r"trained_shares: 0\.5 with batch_norm=trained"):
        strategy("transfer=from_scratch", "transfer.average.trained_shares=[0.5,1.0]")
    assert strategy(
        "transfer=lp_ft", "transfer.batch_norm=trained", "transfer.average.trained_shares=[0,1]"
    )


def test_points_on_the_way_are_on_it() -> None:
    with pytest.raises(UserError, match="trained_shares: 1.5 is out of bounds"):
        strategy("transfer.average.trained_shares=[1.5]")
    with pytest.raises(UserError, match="trained_shares: how many: 0 is out of bounds"):
        strategy("transfer.average.trained_shares=[]")


def test_a_strategy_that_does_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="epochs: 0 trains nothing"):
        strategy("transfer=linear_probe", "transfer/head_init=as_built")


def test_few_pictures_are_shown_more_often() -> None:
    found = strategy("transfer=fine_tune", "transfer.epochs=10", "transfer.least_steps=200")
    assert [found.epochs_of(steps) for steps in (3, 20, 30)] == [67, 10, 10]
    assert strategy("transfer=linear_probe", "transfer.least_steps=200").epochs_of(3) == 0
