"""The steps of a training: several passes in one, limits, clipping, rates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from colour_trainings import (
    classifier,
    fitted,
    guard,
    pictures,
    strategy,
)

from graftwork.training.callbacks import gatherer
from graftwork.training.lightning import pl
from graftwork.training.parameter_groups import parameter_groups
from graftwork.transfer.bound.gathering import MovingAverage
from graftwork.transfer.schedules import Plateau, WarmupCosine


class Steps(pl.Callback):
    """The rate of every step, and the guard's loss before the first."""

    def __init__(self) -> None:
        self.rates: list[float] = []

    def on_before_optimizer_step(self, trainer: Any, module: Any, optimizer: Any) -> None:
        self.rates.append(optimizer.param_groups[0]["lr"])


@pytest.mark.parametrize(
    ("batch_size", "passes", "shares"),
    [(4, 3, (1 / 3,) * 3), (5, 3, (5 / 12, 5 / 12, 2 / 12)), (8, 2, (8 / 12, 4 / 12))],
)
def test_several_passes_make_one_step_of_all_their_pictures(
    batch_size: int, passes: int, shares: tuple[float, ...], tmp_path: Path
) -> None:
    """Of 12 pictures in one pass, or in several of which the last may be smaller: no BatchNorm that
    looks at a batch, so that all is equal but for the order of additions."""
    found = []
    for size, count in ((12, 1), (batch_size, passes)):
        data, network = pictures(12, 12, batch_size=size, passes=count), classifier()
        assert data.order().shares == pytest.approx(shares if count > 1 else (1.0,))
        steps, watch, ema = Steps(), guard(data), MovingAverage(0.9, 0.7)
        watchers = steps, watch, gatherer(ema, 0)
        module, rows = fitted(network, strategy(epochs=4), tmp_path, *watchers, data=data)
        assert module.trainer.global_step == len(steps.rates) == 4
        ema.place(network, lambda: None, None)
        found.append((network, rows, steps.rates, watch.start_loss))
    (one, rows, rates, loss), (other, again, same, once_more) = found
    assert rates == same and once_more == pytest.approx(loss, rel=1e-5)
    for name, tensor in one.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], tensor, atol=2e-6, rtol=2e-5)
    for row, likewise in zip(rows, again, strict=True):
        assert likewise == pytest.approx(row, rel=1e-4)


def test_a_limit_counts_steps_and_epochs_whatever_the_passes(tmp_path: Path) -> None:
    data, steps = pictures(24, batch_size=2, passes=3), Steps()
    transfer = strategy(epochs=2, schedule=WarmupCosine(warmup=0.0))
    fitted(classifier(), transfer, tmp_path, steps, data=data, limit_batches=2)
    assert len(steps.rates) == 4  # of 8, in epochs of 2
    first = steps.rates[0]
    assert [rate / first for rate in steps.rates] == pytest.approx(
        [1, 0.8536, 0.5, 0.1464], abs=1e-4
    )


def test_gradients_are_clipped(tmp_path: Path) -> None:
    import pytorch_lightning as pl

    norms = []

    class Norms(pl.Callback):
        def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
            norms.append(
                torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])
            )

    fitted(classifier(), strategy(epochs=1), tmp_path, Norms(), gradient_clip=1e-3)
    clipped = [gradient.norm().item() for gradient in norms]
    norms.clear()
    fitted(classifier(), strategy(epochs=1), tmp_path, Norms(), gradient_clip=0.0)
    assert max(clipped) <= 1e-3 * 1.001 < max(gradient.norm().item() for gradient in norms)


def test_gradients_are_clipped_value_by_value(tmp_path: Path) -> None:
    import pytorch_lightning as pl

    largest = []

    class Largest(pl.Callback):
        def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
            found = [p.grad.abs().max().item() for p in module.parameters() if p.grad is not None]
            largest.append(max(found))

    transfer = strategy(epochs=1)
    fitted(classifier(), transfer, tmp_path, Largest(), gradient_clip=1e-4, clip_by="value")
    assert largest == [pytest.approx(1e-4)] * 3


def test_rates_fall_in_the_epoch_after_held_out_pictures_say_so(tmp_path: Path) -> None:
    """Three steps an epoch; losses known from another training give the same rates again."""
    import pytorch_lightning as pl

    class Rates(pl.Callback):
        def __init__(self) -> None:
            self.seen: list[float] = []

        def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
            self.seen.append(trainer.optimizers[0].param_groups[0]["lr"])

    schedule = Plateau(0.0, 0.5, 0, 0.999)  # nothing is such a gain
    transfer = strategy("transfer.rates.lr=0.01", epochs=4, schedule=schedule)
    first, again = Rates(), Rates()
    module, _ = fitted(classifier(), transfer, tmp_path, first)
    assert first.seen == pytest.approx([0.01] * 6 + [0.005] * 3 + [0.0025] * 3)
    fitted(classifier(), transfer, tmp_path, again, data=pictures(val=0), known=module.validated)
    assert again.seen == first.seen


def test_groups_have_their_rates_and_only_weights_decay() -> None:
    network = classifier()
    transfer = strategy(
        "transfer/rates=layer_decay",
        "transfer.rates.layer_decay=0.5",
        "transfer.rates.backbone_factor=0.1",
        "transfer.optimiser.weight_decay=0.3",
    )
    found = {}
    for group in parameter_groups(network, transfer):
        for parameter in group["params"]:
            assert id(parameter) not in found
            found[id(parameter)] = (
                group["lr"] / transfer.rates.of(0, size=1.0),
                group["weight_decay"],
            )
    expected = {"stem": 0.1 / 4, "stages.0": 0.1 / 2, "stages.1": 0.1, "head": 1.0}
    for group in network.layer_groups():
        for name, parameter in zip(group.parameters, network.parameters_of(group), strict=True):
            lr, decay = found.pop(id(parameter))
            assert lr == pytest.approx(expected[group.name]), name
            assert decay == (0.3 if parameter.ndim > 1 else 0.0), name
    assert not found
