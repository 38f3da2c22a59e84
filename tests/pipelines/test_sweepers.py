"""Nodes as the plugins compose them: hydra-optuna-sweeper, -nevergrad-sweeper, -ax-sweeper."""

from __future__ import annotations

import math
from enum import Enum

import pytest
from conftest import composed
from omegaconf import OmegaConf

from graftwork.config.errors import UserError
from pipelines import sweepers


class Direction(Enum):
    minimize = 1
    maximize = 2


def optuna(direction):
    target = "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper"
    return OmegaConf.create({"_target_": target, "direction": direction, "n_trials": 20})


def nevergrad(maximize):
    target = "hydra_plugins.hydra_nevergrad_sweeper.nevergrad_sweeper.NevergradSweeper"
    optim = {"optimizer": "OnePlusOne", "budget": 80, "maximize": maximize}
    return OmegaConf.create({"_target_": target, "optim": optim})


def ax(minimize, early=None):
    target = "hydra_plugins.hydra_ax_sweeper.ax_sweeper.AxSweeper"
    early = minimize if early is None else early
    config = {"experiment": {"minimize": minimize}, "early_stop": {"minimize": early}}
    return OmegaConf.create({"_target_": target, "ax_config": config})


BASIC = OmegaConf.create({"_target_": sweepers.GRIDS[0], "max_batch_size": None, "params": None})
UNKNOWN = OmegaConf.create({"_target_": "my.Hill", "steps": 3})


@pytest.mark.parametrize(
    ("node", "direction"),
    [
        (optuna(Direction.minimize), "minimize"),
        (optuna(Direction.maximize), "maximize"),
        (optuna("maximize"), "maximize"),
        (optuna(["minimize"]), "minimize"),
        (optuna([Direction.maximize]), "maximize"),
        (optuna(None), None),
        (nevergrad(True), "maximize"),
        (nevergrad(False), "minimize"),
        (ax(True), "minimize"),
        (ax(False), "maximize"),
        (UNKNOWN, None),
    ],
)
def test_each_sweeper_says_in_its_own_words_where_it_looks(node, direction):
    found = sweepers.facts(node)
    assert found.optimises and found.direction == direction


def test_the_error_goes_to_those_that_minimise():
    assert sweepers.handed(0.8, sweepers.facts(nevergrad(True)), None) == 0.8
    assert sweepers.handed(0.8, sweepers.facts(nevergrad(False)), None) == pytest.approx(0.2)
    assert sweepers.handed(0.8, sweepers.facts(UNKNOWN), "minimize") == pytest.approx(0.2)
    assert sweepers.handed(0.8, sweepers.facts(UNKNOWN), "maximize") == 0.8
    assert sweepers.handed(0.8, sweepers.facts(BASIC), None) == 0.8
    assert math.isnan(sweepers.handed(None, sweepers.facts(nevergrad(False)), None))


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (optuna(["minimize", "maximize"]), "hydra.sweeper.direction: 2 directions"),
        (optuna([]), "hydra.sweeper.direction: 0 directions"),
        (optuna("maximise"), "direction: 'maximise' is unknown. Did you mean 'maximize'"),
        (ax(False, early=True), "hydra.sweeper: two directions at once.*early_stop.minimize says"),
    ],
)
def test_what_is_no_direction_is_refused(node, message):
    with pytest.raises(UserError, match=message):
        sweepers.facts(node)


@pytest.mark.parametrize(
    ("node", "overrides", "message"),
    [
        (UNKNOWN, [], "selection.direction: not given, and Hill does not say.*maximize.*minimize"),
        (optuna("minimize"), ["selection.direction=maximize"],
         "'maximize' contradicts hydra.sweeper.direction, which says minimize"),
        (nevergrad(True), ["selection.direction=minimize"], "contradicts hydra.sweeper.optim.max"),
        (optuna("minimize"), ["selection=none"], "selection.method: 'none' gives no .*Optuna"),
        (optuna("minimize"), ["~evaluation.metrics.top1"], "evaluation.metrics: no top1"),
        (UNKNOWN, ["selection=none", "selection.direction=minimize"], "gives no selection score"),
    ],
)  # fmt: skip
def test_what_a_sweeper_could_not_use_is_refused(node, overrides, message):
    with pytest.raises(UserError, match=message):
        sweepers.check(sweepers.facts(node), composed(*overrides))


@pytest.mark.parametrize(
    ("node", "overrides"),
    [
        (BASIC, []),
        (BASIC, ["selection=none"]),
        (BASIC, ["selection.direction=minimize"]),
        (optuna("minimize"), []),
        (optuna("minimize"), ["selection.direction=minimize"]),
        (UNKNOWN, ["selection.direction=maximize"]),
    ],
)
def test_what_fits_is_let_through(node, overrides):
    found, params = sweepers.facts(node), composed(*overrides)
    sweepers.check(found, params)
    score = sweepers.handed(0.75, found, params["selection"]["direction"])
    looks_for_errors = "minimize" in (found.direction, params["selection"]["direction"])
    assert score == (0.25 if looks_for_errors else 0.75)
