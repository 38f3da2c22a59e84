"""`trainer.compile`: the same network, compiled while it trains, and nothing of it left behind."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import composed
from small_network import network
from torch.utils.data import DataLoader

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.settings.trainer import Trainer
from graftwork.training import compiling
from graftwork.training.bound_parts import attached, fit_module
from graftwork.training.graft_module import GraftModule
from graftwork.transfer.strategy import Transfer

State = dict[str, torch.Tensor]
REAL = torch.compile
pytestmark = pytest.mark.filterwarnings("ignore:You defined a .validation_step. but")


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What torch captured to compile; it is run as it is, which takes a moment instead of many."""
    found: list[Any] = []

    def backend(graph: Any, inputs: Any) -> Callable[..., Any]:
        found.append(graph)
        return graph.forward  # type: ignore[no-any-return]

    monkeypatch.setattr(torch, "compile", lambda plain: REAL(plain, backend=backend))
    return found


def strategy(*overrides: str) -> Transfer:
    values = composed("transfer=from_scratch", "transfer.epochs=2", *overrides)["transfer"]
    return dataclasses.replace(build(values, Transfer, "transfer"), least_steps=0)


def trained(compile_: str, transfer: Transfer, root: Path, **changes: Any) -> State:
    settings = build(composed("trainer.precision=fp32")["trainer"], Trainer, "trainer")
    settings = dataclasses.replace(settings, accelerator="cpu", compile=compile_, **changes)
    classifier, random = network("tiny_cnn"), torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (3, 6, 32, 32, 3), dtype=torch.uint8, generator=random)
    batches: Any = DataLoader([(one, torch.arange(6) % 3) for one in images], batch_size=None)  # type: ignore[arg-type]
    with attached(transfer.adapter, classifier, seed=0):
        module = GraftModule(classifier, transfer, 3, watched=())
        fit_module(module, settings, [], root, batches)
        assert module.through is None
    return classifier.state_dict()


@pytest.mark.parametrize(
    "overrides",
    [
        ("transfer.batch_norm=frozen",),  # folded into convolutions
        ("transfer.batch_norm=trained",),
        ("transfer.batch_norm=frozen", "transfer/adapter=low_rank"),
        ("transfer.batch_norm=affine", "transfer/trainable=gradual"),
    ],
    ids=lambda found: found[-1].rpartition("=")[2],
)
def test_a_compiled_network_is_trained_to_the_same_weights(
    overrides: tuple[str, ...], graphs: list[Any], tmp_path: Path
) -> None:
    transfer = strategy(*overrides)
    plain = trained("off", transfer, tmp_path)
    assert not graphs
    found = trained("on", transfer, tmp_path)
    assert graphs and found.keys() == plain.keys()
    for name, tensor in plain.items():
        torch.testing.assert_close(found[name], tensor, atol=1e-5, rtol=1e-4, msg=name)


def test_what_cannot_be_compiled_is_trained_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(plain: Any) -> Any:
        def compiled(*_: Any) -> Any:
            raise RuntimeError("no C++ compiler\nfurther lines")

        return compiled

    transfer = strategy()
    plain = trained("off", transfer, tmp_path)
    monkeypatch.setattr(torch, "compile", fails)
    found = trained("on", transfer, tmp_path)
    assert all(torch.equal(found[name], tensor) for name, tensor in plain.items())
    said = [line for line in capsys.readouterr().err.splitlines() if "trainer.compile" in line]
    assert len(said) == 1 and "(RuntimeError: no C++ compiler). Training goes on" in said[0]


@pytest.mark.parametrize(("gpu", "steps", "expected"), [(0, 1, 0), (1, 9, 0), (1, 6, 1)])
def test_auto_compiles_on_gpus_where_training_is_long_enough(
    gpu: int, steps: int, expected: int, graphs: list[Any], monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    settings = build(composed()["trainer"], Trainer, "trainer")
    monkeypatch.setattr(compiling, "LEAST_STEPS", steps)
    monkeypatch.setattr(Trainer, "uses_gpu", lambda self: bool(gpu))
    module = GraftModule(network("tiny_cnn"), strategy(), 3)
    watcher, trainer = compiling.Compiling(settings), Steps()
    watcher.on_train_start(trainer, module)  # type: ignore[arg-type]
    assert (module.through is not None) == bool(expected)
    watcher.on_train_end(trainer, module)  # type: ignore[arg-type]
    assert module.through is None


class Steps:
    """As much of Lightning's Trainer as is asked."""

    estimated_stepping_batches = 6


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (
            (
                "transfer=fine_tune",
                "transfer/adapter=stochastic_normalisation",
                "transfer.batch_norm=trained",
            ),
            "its adapter draws anew at every step",
        ),
        (("transfer=delta",), "the penalty delta looks"),
    ],
)
def test_what_a_compiled_network_would_not_follow_is_refused(
    overrides: tuple[str, ...], reason: str
) -> None:
    params = composed("trainer.compile=on", *overrides)
    with pytest.raises(UserError, match=f"trainer.compile: on, but {reason}.*compile=off"):
        Experiment.from_params(params)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # of its own imports
def test_torchs_own_compiler_gives_the_same_weights(tmp_path: Path) -> None:
    transfer = strategy("transfer.batch_norm=frozen")
    plain, found = (trained(asked, transfer, tmp_path) for asked in ("off", "on"))
    for name, tensor in plain.items():
        torch.testing.assert_close(found[name], tensor, atol=1e-5, rtol=1e-4, msg=name)
