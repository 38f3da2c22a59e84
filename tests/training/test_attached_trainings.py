"""Trainings with something attached: what they begin from and what they give is a plain network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from tiny_experiment import tiny_experiment
from tiny_transfer import draw_photos, save_weights, transfer_params
from watched_trainings import WatchedTrainings

from graftwork.experiment import Experiment
from graftwork.models.network.classifier import Classifier
from graftwork.storage.artifacts import Artifacts
from graftwork.training.guard import ATTEMPTS
from graftwork.training.source import Finetuned
from graftwork.transfer.adapters import LowRank, StochasticNormalisation
from graftwork.transfer.averages import SWA, Last, PartOfTheWay
from graftwork.transfer.rates import Uniform
from graftwork.transfer.trainable import All

LORA = {"adapter": LowRank(["*"], 1, 2.0), "rates": Uniform(0.01), "trainable": All()}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Experiment, Artifacts]:
    place = tmp_path_factory.mktemp("attached")
    draw_photos(place / "photos")
    save_weights(place / "weights.pth")
    values = transfer_params(
        place / "photos", place / "weights.pth", "selection=random", "trainer.batch_size=7",
        "transfer.epochs=2", "transfer.schedule.warmup=0", "transfer.average.trained_shares=[1.0]",
    )  # fmt: skip
    return tiny_experiment(values, place / "project")


@pytest.fixture
def watched(
    prepared: tuple[Experiment, Artifacts], monkeypatch: pytest.MonkeyPatch
) -> WatchedTrainings:
    return WatchedTrainings(prepared, monkeypatch)


def state(found: Finetuned) -> dict[str, torch.Tensor]:
    assert isinstance(found.model.weights, Classifier)
    return found.model.weights.state_dict()


def same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return list(one) == list(other) and all(torch.equal(t, other[name]) for name, t in one.items())


def test_weights_move_by_a_matrix_of_low_rank_and_nothing_else_does(
    watched: WatchedTrainings,
) -> None:
    settings: dict[str, Any] = {"refit": "on", "refit_epochs": 1, "refit_rate": 0.25}
    found = watched.run(trainer=settings, transfer=LORA)
    first, on = watched.calls
    start, end = first.trained.start, first.network.state_dict()
    assert list(end) == list(start) == list(state(found))
    expected = sum(tensor.numel() for name, tensor in start.items() if name.startswith("head."))
    for name, tensor in start.items():
        difference = (end[name] - tensor).flatten(1) if tensor.ndim > 1 else end[name] - tensor
        if name.startswith("backbone.") and tensor.ndim == 4:
            sizes = torch.linalg.svdvals(difference)
            assert sizes[0] > 1e-3 and sizes[1] < 1e-3 * sizes[0], name
            expected += sum(difference.shape)
        elif name.startswith("backbone."):
            assert not difference.any(), name
    assert first.trained.trainable == expected
    assert same(on.trained.start, end), "going on begins on the merged weights"
    assert same(state(watched.run(trainer=settings, transfer=LORA)), state(found))
    half = watched.run(
        transfer={**LORA, "average": PartOfTheWay([0.5])}, trainer={"refit": "never"}
    )
    mean = start["backbone.stem.conv.weight"].lerp(end["backbone.stem.conv.weight"], 0.5)
    assert torch.equal(state(half)["backbone.stem.conv.weight"], mean)


def test_averages_are_those_of_the_merged_weights(watched: WatchedTrainings) -> None:
    once = {"refit": "never"}
    mean = state(watched.run(transfer={**LORA, "average": SWA([1.0], 0.0)}, trainer=once))
    last = state(watched.run(transfer={**LORA, "average": Last([1.0])}, trainer=once))
    assert list(mean) == list(last)
    (swa, _), name = watched.calls, "backbone.stages.0.conv.weight"
    moved = (mean[name] - swa.trained.start[name]).flatten(1)
    assert torch.linalg.matrix_rank(moved, rtol=1e-3) == 2, "the mean of two updates of rank 1"


def test_a_destroyed_network_loses_its_updates_too(watched: WatchedTrainings) -> None:
    watched.run(transfer={**LORA, "rates": Uniform(10.0), "least_steps": 60})
    (call,) = watched.calls
    assert len(call.trained.gone_back) == ATTEMPTS and call.trained.destroyed
    assert same(call.network.state_dict(), call.trained.start)


def test_stochastic_normalisation_trains_another_network_the_same_every_time(
    watched: WatchedTrainings,
) -> None:
    fields: dict[str, Any] = {"batch_norm": "trained", "trainable": All(), "rates": Uniform(0.001)}
    drawn = {**fields, "adapter": StochasticNormalisation(0.5)}
    once = {"refit": "never"}
    runs = [watched.run(transfer=chosen, trainer=once) for chosen in (drawn, drawn, fields)]
    found = [state(run) for run in runs]
    assert same(found[0], found[1]) and not same(found[0], found[2])
    moving = {**fields, "adapter": StochasticNormalisation(1.0)}
    assert same(state(watched.run(transfer=moving, trainer=once)), found[2]), (
        "always by the batch: BatchNorm"
    )
    assert not any("forward" in vars(module) for module in watched.calls[0].network.modules())
