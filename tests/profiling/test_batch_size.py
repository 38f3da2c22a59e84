"""`trainer.batch_size=auto`: what bounds it, and what becomes of the rates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from conftest import composed

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.profiling import batch_size
from graftwork.profiling.batch_size import resolved
from graftwork.settings.trainer import Trainer

Params = Callable[..., dict[str, Any]]
GIB = 2**30


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every batch that was tried, each of which takes a GiB for 64 images."""
    found: list[int] = []

    def peak(model: Any, transfer: Any, trainer: Trainer, *, num_classes: int) -> int:
        found.append(trainer.images_a_pass)
        return trainer.images_a_pass * GIB // 64

    monkeypatch.setattr(batch_size, "training_peak", peak)
    monkeypatch.setattr(batch_size, "memory", lambda device: 100 * GIB)
    return found


def experiment(tiny_params: Params, *overrides: str) -> Experiment:
    return Experiment.from_params(tiny_params("trainer.batch_size=auto", *overrides))


@pytest.mark.parametrize(
    ("pictures", "expected"), [(10_000, 128), (1_000, 64), (100, 8), (5, 8), (512, 64)]
)
def test_it_is_bounded_by_the_machine_and_by_the_pictures(
    tiny_params: Params, tried: list[int], pictures: int, expected: int
) -> None:
    found, why = resolved(experiment(tiny_params), 3, pictures)
    assert found.trainer.batch_size == expected and tried == [expected]
    assert why is not None and f"auto is {expected} images a forward pass" in why.words


def test_what_does_not_fit_is_not_taken(
    tiny_params: Params, tried: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_size, "memory", lambda device: GIB)  # of which three quarters
    found, _ = resolved(experiment(tiny_params), 3, 10_000)
    assert found.trainer.batch_size == 32 and tried == [128, 64, 32]
    tried.clear()
    monkeypatch.setattr(batch_size, "memory", lambda device: 1000)  # the forecast says so
    with pytest.raises(UserError, match="finds none that fits.*trainer.batch_size=2"):
        resolved(experiment(tiny_params), 3, 10_000)
    assert not tried


@pytest.mark.parametrize(
    ("overrides", "factor"),
    [
        (("transfer/optimiser=sgd",), 4.0),  # 128 images where rates are meant for 32
        (("transfer/optimiser=adamw",), 2.0),
        (("trainer.rates_batch=128", "transfer/optimiser=sgd"), 1.0),
        (("transfer/rates=relative_step",), 1.0),
        (("trainer.accumulate=4", "transfer/optimiser=sgd"), 16.0),  # 512 images a step
    ],
)
def test_rates_keep_their_meaning(
    tiny_params: Params, tried: list[int], overrides: tuple[str, ...], factor: float
) -> None:
    given = experiment(tiny_params, *overrides)
    found, why = resolved(given, 3, 10_000)
    scale = given.transfer.rates.scale
    before, after = (getattr(e.transfer.rates, scale) for e in (given, found))
    assert after == pytest.approx(factor * before) and why is not None and why.rates == factor


def test_a_number_stays_a_number_and_a_probe_takes_no_steps(tiny_params: Params) -> None:
    given = Experiment.from_params(tiny_params("trainer.batch_size=16"))
    assert resolved(given, 3, 10_000) == (given, None)


@pytest.mark.slow
def test_a_trial_takes_what_training_takes(tiny_params: Params) -> None:
    found, why = resolved(experiment(tiny_params), 3, 64)
    assert found.trainer.batch_size == 8 and why is not None and 0 <= why.peak < GIB


def test_words_and_processes_are_refused() -> None:
    def trainer(*overrides: str) -> Trainer:
        return build(composed(*overrides)["trainer"], Trainer, "trainer")

    with pytest.raises(UserError, match="batch_size: 'many' has the wrong type.*whole number"):
        trainer("trainer.batch_size=many")
    with pytest.raises(UserError, match="batch_size: auto .* one process.*trainer.batch_size=32"):
        trainer("trainer=ddp", "trainer.batch_size=auto")
    with pytest.raises(UserError, match="auto is not known before training"):
        _ = trainer("trainer.batch_size=auto").images_a_pass
