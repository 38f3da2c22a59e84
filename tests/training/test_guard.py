"""When the guard raises, and what measuring the loss before the first step leaves alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import composed

from graftwork.config.components import build
from graftwork.models.base import Model
from graftwork.training.diverging import Diverged
from graftwork.training.graft_module import GraftModule
from graftwork.training.guard import IN_A_ROW, Destroyed, Guard
from graftwork.transfer.bound.penalty import BoundPenalty, Outputs
from graftwork.transfer.parts import Moment
from graftwork.transfer.strategy import Transfer

Batch = tuple[torch.Tensor, torch.Tensor]


def trainer(steps: int) -> Any:
    """As much of Lightning's as the guard looks at."""
    return SimpleNamespace(
        estimated_stepping_batches=steps,
        world_size=1,
        global_step=0,
        current_epoch=0,
        strategy=SimpleNamespace(
            root_device=torch.device("cpu"), batch_to_device=lambda batch: batch
        ),
        precision_plugin=SimpleNamespace(forward_context=nullcontext),
    )


class Told(SimpleNamespace):
    """A module whose loss on a batch is the batch itself."""

    classifier, penalties, shares = torch.nn.Identity(), torch.nn.ModuleDict(), (1.0,)
    transfer, device = SimpleNamespace(batch_norm="frozen"), torch.device("cpu")

    def modules(self) -> list[torch.nn.Module]:
        return []

    def train(self) -> None: ...

    def moment(self, *_: int) -> None: ...

    def minimised(self, images: torch.Tensor, *_: object) -> SimpleNamespace:
        return SimpleNamespace(loss=images)


def watching(batches: Callable[[], Iterable[Batch]], **changes: Any) -> Guard:
    """Of the first attempt of several, which passes over nothing."""
    return Guard(batches, **({"skips": False, "spike": None, "last": False} | changes))


def judged(
    guard: Guard, found: Any, module: Any, loss: float, *, total: float | None = None,
    norm: float = 1.0,
) -> bool:  # fmt: skip
    """Whether a step is taken that gives these numbers."""
    module.latest = torch.tensor(loss)
    module.latest_total = torch.tensor(loss if total is None else total)
    return guard.judge(found, module, torch.tensor(norm))


def raised_at(before: Iterable[float], losses: Sequence[float]) -> int | None:
    """The step at which the guard raises; None: it never does.

    Args:
        before: losses of the first weights on each batch.
        losses: of every step.
    """
    found, module = trainer(len(losses)), Told()
    guard = watching(lambda: [(torch.tensor(loss), torch.tensor(0)) for loss in before])
    guard.on_train_start(found, module)  # type: ignore[arg-type]
    for step, loss in enumerate(losses, 1):
        found.global_step = step
        try:
            assert judged(guard, found, module, loss)
            guard.on_train_batch_end(found, module, None, None, step - 1)
        except Destroyed as error:
            assert (error.step, error.start_loss) == (step, guard.start_loss)
            return step
    return None


def batches(mean: float, spread: float, count: int, seed: int = 0) -> list[float]:
    return np.random.default_rng(seed).normal(mean, spread, count).tolist()


@pytest.mark.parametrize(("steps", "within"), [(16, 10), (30, 16), (160, 60), (5000, 60)])
def test_a_rise_that_stays_is_seen_within_tens_of_steps(steps: int, within: int) -> None:
    after = batches(1.5, 0.1, steps - 5)
    found = raised_at(batches(0.5, 0.1, 8), [*batches(0.5, 0.1, 5), *after])
    assert found is not None and found <= within


@pytest.mark.parametrize("height", [1.0, 100.0])
def test_a_short_rise_that_comes_back_is_ordinary(height: float) -> None:
    rise = batches(height, 0.1, 10)
    assert raised_at(batches(0.5, 0.1, 8), [*rise, *batches(0.4, 0.1, 150)]) is None
    longer = batches(height, 0.1, 60)
    assert raised_at(batches(0.5, 0.1, 8), [*longer, *batches(0.4, 0.1, 100)]) is not None


@pytest.mark.parametrize("steps", [16, 300])
def test_what_the_batches_own_differences_explain_is_no_rise(steps: int) -> None:
    """Of trainings that do not learn at all, where nothing but noise can look like a rise."""
    alarms = [
        seed
        for seed in range(200)
        if raised_at(batches(1.0, 0.5, 8, seed), batches(1.0, 0.5, steps, 1000 + seed))
    ]
    assert len(alarms) <= 3
    assert raised_at(batches(1.0, 0.5, 8), batches(1.2, 0.5, 300)) is None
    assert raised_at(batches(1.0, 0.01, 8), batches(1.2, 0.01, 300)) is not None


def test_a_loss_that_falls_is_never_taken_for_a_rise() -> None:
    assert raised_at(batches(2.0, 0.1, 8), np.linspace(2.0, 0.1, 300).tolist()) is None


def test_measuring_before_the_first_step_changes_nothing() -> None:
    """Statistics of BatchNorm would move in train mode, and dropout draw random numbers."""
    torch.manual_seed(0)
    values = composed("model=tiny_cnn", "model/head=mlp")["model"]
    network = build(values, Model, "model").build(3, None)  # type: ignore[type-abstract]
    transfer = build(composed("transfer=from_scratch")["transfer"], Transfer, "transfer")
    module = GraftModule(network, transfer, 3)
    assert transfer.batch_norm == "trained"
    shown: list[Batch] = [
        (torch.randint(0, 256, (8, 32, 32, 3), dtype=torch.uint8), torch.arange(8) % 3)
        for _ in range(20)
    ]
    drawn = torch.get_rng_state()
    tensors = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    guard = watching(lambda: shown)
    guard.on_train_start(trainer(400), module)
    assert torch.equal(torch.get_rng_state(), drawn)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, tensors[name]), name
    assert all(parameter.grad is None for parameter in network.parameters())
    network.train()
    with torch.no_grad():
        losses = [float(module.minimised(*batch, module.moment(0)).total) for batch in shown[:8]]
    assert guard.start_loss == pytest.approx(np.mean(losses))
    moved = [n for n, t in network.state_dict().items() if not torch.equal(t, tensors[n])]
    assert any("running" in name for name in moved)
    assert not torch.equal(torch.get_rng_state(), drawn)


class Heavy(BoundPenalty):
    def forward(self, outputs: Outputs, moment: Moment) -> torch.Tensor:
        return outputs.logits.new_tensor(100.0)


def test_the_loss_before_the_first_step_is_what_the_first_steps_would_give() -> None:
    """Mixed alike, each batch in its own way; without penalties, which begin at their least."""
    torch.manual_seed(0)
    network = build(composed("model=tiny_cnn")["model"], Model, "model").build(3, None)  # type: ignore[type-abstract]
    params = composed("transfer=fine_tune", "transfer/objective=mixed")["transfer"]
    transfer = build(params, Transfer, "transfer")
    module = GraftModule(network, transfer, 3, penalties={"heavy": Heavy(1.0)})
    shown: list[Batch] = [
        (torch.randint(0, 256, (8, 32, 32, 3), dtype=torch.uint8), torch.arange(8) % 3)
        for _ in range(8)
    ]
    guard = watching(lambda: shown)
    guard.on_train_start(trainer(400), module)
    module.train()
    with torch.no_grad():
        moments = [module.moment(0, step, 400) for step in range(8)]
        found = [module.minimised(*batch, m) for batch, m in zip(shown, moments, strict=True)]
    assert guard.start_loss == pytest.approx(np.mean([float(each.loss) for each in found]))
    assert all(each.total > 100 for each in found) and guard.start_loss < 5
    mixed = [module.objective.mix(*shown[0], module.generator(moment))[1] for moment in moments]
    assert len({float(targets[0, 0]) for targets in mixed}) > 4
    assert judged(guard, trainer(400), module, guard.start_loss, total=101.0)
    with pytest.raises(Diverged, match="the loss is inf in epoch 1"):
        judged(guard, trainer(400), module, guard.start_loss, total=math.inf)


LONG = batches(0.5, 0.1, 30)  # losses of a training that is well


@pytest.mark.parametrize(
    ("numbers", "wrong"),
    [
        ({"loss": math.nan}, "the loss is nan"),
        ({"loss": 0.4, "total": math.inf}, "the loss is inf"),
        ({"loss": 0.4, "norm": math.nan}, "the gradient is nan"),
        (
            {"loss": 100.1},
            r"the loss is 100.1 \(0.5\d* before the first step; trainer.loss_spike=100\)",
        ),
    ],
)
def test_a_training_that_was_well_ends_at_the_step(numbers: dict[str, float], wrong: str) -> None:
    guard, found, module = well(LONG)
    with pytest.raises(Diverged, match=f"{wrong} in epoch 1, step 31") as ended:
        judged(guard, found, module, **numbers)
    at = ended.value.at
    assert at is not None and (at.epoch, at.step, at.batch, at.done) == (0, 30, 30, 30)
    assert ended.value.tags == {"diverged": str(at)}


def test_a_large_loss_that_is_no_spike_is_ordinary() -> None:
    assert judged(*well(LONG), 99.9)
    assert judged(*well(LONG, spike=None), 1e9)


@pytest.mark.parametrize("losses", [LONG[:5], [*LONG, *batches(9.0, 0.1, 10)]])
def test_where_rates_may_be_the_cause_lower_ones_are_tried(losses: list[float]) -> None:
    with pytest.raises(Diverged) as early:
        judged(*well(losses), math.nan)
    assert early.value.at is None
    with pytest.raises(Diverged) as early:  # there is no attempt after this one
        judged(*well(losses, last=True), math.nan)
    assert early.value.at is not None


def test_steps_are_passed_over_until_too_many_come_in_a_row() -> None:
    guard, found, module = well(LONG, skips=True)
    for _ in range(IN_A_ROW):
        assert not judged(guard, found, module, math.nan)
    assert judged(guard, found, module, 0.5)
    for _ in range(IN_A_ROW):
        assert not judged(guard, found, module, 0.4, norm=math.inf)
    seen = watching(lambda: [])
    seen.load_state_dict(guard.state_dict())
    assert seen.passed_over == 2 * IN_A_ROW and seen.latest == guard.latest
    with pytest.raises(Diverged, match="the loss is nan"):
        judged(seen, found, module, math.nan)


def well(losses: Sequence[float], **changes: Any) -> tuple[Guard, Any, Any]:
    """A guard that has seen these steps of 160; a loss beyond 100 is a spike."""
    shown = [(torch.tensor(loss), torch.tensor(0)) for loss in batches(0.5, 0.1, 8)]
    guard, found, module = (
        watching(lambda: shown, **({"spike": 100.0} | changes)),
        trainer(160),
        Told(),
    )
    guard.on_train_start(found, module)  # type: ignore[arg-type]
    for step, loss in enumerate(losses):
        guard.on_train_batch_start(found, module, None, step)  # type: ignore[arg-type]
        assert judged(guard, found, module, loss)
        guard.on_train_batch_end(found, module, None, None, step)
        found.global_step = step + 1
    guard.on_train_batch_start(found, module, None, len(losses))  # type: ignore[arg-type]
    return guard, found, module
