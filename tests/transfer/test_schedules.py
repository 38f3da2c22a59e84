"""Schedules: the values of torch's schedulers, from the moment alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from graftwork.config.errors import UserError
from graftwork.transfer.parts import Moment, Schedule
from graftwork.transfer.schedules import Constant, Linear, OneCycle, Plateau, Step, WarmupCosine

STEPS = 40


def factors(schedule: Schedule, steps: int = STEPS) -> list[float]:
    return [schedule.factor(Moment(step, steps, 0, 1)) for step in range(steps)]


def torchs(make: Any, steps: int = STEPS) -> list[float]:
    """The rates of a scheduler at each step, of a peak of 1."""
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, found = make(optimiser), []
    for _ in range(steps):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return found


def test_they_have_the_values_of_torch() -> None:
    cosine = torchs(lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS))
    assert factors(WarmupCosine(0.0)) == pytest.approx(cosine)
    linear = torchs(lambda o: lr_scheduler.LinearLR(o, 1.0, 0.2, STEPS))
    assert factors(Linear(0.0, end=0.2)) == pytest.approx(linear)
    down = torchs(lambda o: lr_scheduler.MultiStepLR(o, [20, 30], 0.1))
    assert factors(Step(0.0, [0.5, 0.75], 0.1)) == pytest.approx(down)
    assert factors(Constant(0.0)) == torchs(lambda o: lr_scheduler.ConstantLR(o, 1.0, 1))
    for steps in (STEPS, 7):
        cycle = torchs(
            lambda o, n=steps: lr_scheduler.OneCycleLR(o, 1.0, n, cycle_momentum=False), steps
        )
        assert factors(OneCycle(0.3, 1 / 25, 1 / 25 / 1e4), steps) == pytest.approx(cycle)


@pytest.mark.parametrize(
    "schedule",
    [Constant(0.25), Linear(0.25, 0.0), Step(0.25, [0.5], 0.1), Plateau(0.25, 0.1, 1, 0.0)],
)
def test_each_warms_up_in_equal_steps(schedule: Schedule) -> None:
    found = factors(schedule)
    assert found[:11] == pytest.approx([(step + 1) / 11 for step in range(10)] + [1.0])


LOSSES = [
    [1.0, 0.9, 0.95, 0.92, 0.91, 0.905, 0.8, 0.81, 0.82, 0.83, 0.84, 0.85, 0.86],
    [1.0, 0.99995, 0.9999, 0.99985, 0.5, 0.5, 0.5],  # less than the threshold is nothing
    [1.0, math.nan, math.nan, math.nan, 0.9, 0.9],
    [0.5] * 9,
]


@pytest.mark.parametrize("losses", LOSSES)
@pytest.mark.parametrize("patience", [0, 1, 2])
def test_a_plateau_is_seen_where_torch_sees_it(losses: Sequence[float], patience: int) -> None:
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.5, patience=patience)
    schedule = Plateau(0.0, 0.5, patience, 1e-4)
    for epoch, loss in enumerate(losses):
        scheduler.step(loss)
        said = tuple(losses[: epoch + 1])
        now = Moment(5 * epoch + 5, 5 * len(losses), epoch + 1, len(losses), said)
        assert schedule.factor(now) == pytest.approx(optimiser.param_groups[0]["lr"])


def test_only_a_plateau_listens() -> None:
    assert Plateau(0.0, 0.5, 0, 0.0).needs_validation and not Constant(0.0).needs_validation


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Constant(1.5), "warmup"),
        (lambda: Linear(0.0, 1.5), "end"),
        (lambda: Step(0.0, [2.0], 0.1), "at"),
        (lambda: Step(0.0, [0.5], 0.0), "factor_each"),
        (lambda: OneCycle(0.0, 0.1, 0.1), "warmup"),
        (lambda: OneCycle(0.3, 2.0, 0.1), "start"),
        (lambda: OneCycle(0.3, 0.1, -1.0), "end"),
        (lambda: Plateau(0.0, 1.5, 1, 0.0), "factor_each"),
        (lambda: Plateau(0.0, 0.1, -1, 0.0), "patience"),
        (lambda: Plateau(0.0, 0.1, 1, 1.0), "threshold"),
    ],
)
def test_bounds(make: Any, field: str) -> None:
    with pytest.raises(UserError, match=f"^{field}.*out of bounds"):
        make()
