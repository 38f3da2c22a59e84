"""What held-out pictures make of a network: how much of its training is kept, and on what data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from tiny_experiment import tiny_experiment
from tiny_transfer import draw_photos, save_weights, transfer_params
from watched_trainings import WatchedTrainings

from graftwork.config.errors import UserError
from graftwork.evaluating.probabilities import network_logits, softmax
from graftwork.experiment import Experiment
from graftwork.model_folder.saving import StoredBackbone
from graftwork.models.network.classifier import Classifier
from graftwork.selecting.record import GoneBack, WayPoint
from graftwork.storage.artifacts import Artifacts
from graftwork.training import networks
from graftwork.training.source import Finetuned
from graftwork.transfer.averages import EMA, SWA, Best, Last, ModelSoup, PartOfTheWay
from graftwork.transfer.rates import Uniform
from graftwork.transfer.schedules import Plateau
from graftwork.transfer.trainable import LastGroups
from graftwork.transfer.trainable_schedules import Gradual, OnPlateau

FITTED = 39  # pictures of train and val; `selection=random` holds a fifth of them out
GENTLE = Uniform(1e-3)
DESTROYING = Uniform(0.03)  # in one epoch, before the guard can tell


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Experiment, Artifacts]:
    place = tmp_path_factory.mktemp("networks")
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


def tensors(found: Finetuned) -> dict[str, Any]:
    weights = found.model.weights
    assert isinstance(weights, Classifier)
    return weights.state_dict()


def same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_points_on_the_way_are_its_ends_bit_for_bit_and_the_mean_between_them() -> None:
    network: Any = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    start = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    end = {
        name: tensor + (torch.rand_like(tensor) if tensor.is_floating_point() else 7)
        for name, tensor in start.items()
    }
    way = PartOfTheWay([1.0])
    for share, expected in ((1.0, end), (0.0, start)):
        way.place(network, start, end, share)
        assert same(network.state_dict(), expected)
    way.place(network, start, end, 0.5)
    for name, tensor in network.state_dict().items():
        if name == "1.num_batches_tracked":
            assert tensor == 7  # half a batch is none: counts are those of the end
        else:
            torch.testing.assert_close(tensor, (start[name] + end[name]) / 2)


def test_where_training_helps_nothing_the_probe_of_all_pictures_is_kept(
    watched: WatchedTrainings,
) -> None:
    found = watched.run(
        transfer={"average": PartOfTheWay([0.0, 0.5, 1.0]), "rates": DESTROYING, "epochs": 1},
        trainer={"refit": "again"},
    )
    probe = watched.run(transfer={"epochs": 0})
    weights, expected = found.model.weights, probe.model.weights
    assert isinstance(weights, StoredBackbone) and isinstance(expected, StoredBackbone)
    assert weights.sha256 == expected.sha256
    for name, tensor in weights.head.items():
        np.testing.assert_array_equal(tensor, expected.head[name])
    (only,) = watched.calls  # nothing is trained again, and the probe not at all
    assert len(only.fit) < FITTED == found.record.fitted
    assert found.facts["trained_share"] == 0.0 and found.start is None
    assert not found.record.ended_as_start and not found.record.gone_back
    points = found.record.shares or []
    assert [(point.share, point.chosen) for point in points] == [
        (0.0, True), (0.5, False), (1.0, False),
    ]  # fmt: skip
    assert found.held_out is not None and probe.held_out is not None
    np.testing.assert_array_equal(found.held_out[1], probe.held_out[1])


def test_without_a_refit_the_network_that_chose_is_kept(watched: WatchedTrainings) -> None:
    found = watched.run(trainer={"refit": "never"})
    (only,) = watched.calls
    assert same(tensors(found), only.network.state_dict())
    assert found.held_out is not None
    assert set(found.held_out[0]["sha256"]) == only.watched["val"] and not (
        only.fit & only.watched["val"]
    )
    assert found.record.fitted == len(only.fit) == FITTED - found.record.held_out
    assert found.facts["kept_epoch"] == 2 and found.start is not None
    np.testing.assert_array_equal(found.start.tensors["weight"], only.trained.start["head.weight"])


def test_what_chose_is_trained_on_with_everything_a_little_and_gently(
    watched: WatchedTrainings,
) -> None:
    settings = {"refit": "on", "refit_epochs": 1, "refit_rate": 0.25}
    found = watched.run(trainer=settings, transfer={"average": PartOfTheWay([0.5])})
    first, on = watched.calls
    assert first.fit < on.fit and len(on.fit) == FITTED == found.record.fitted
    assert on.watched == {} and (on.epochs, on.factor, on.trained.steps) == (1, 0.25, 5)
    assert same(on.trained.start, first.network.state_dict())  # it goes on where that one ended
    probe = watched.run(transfer={"epochs": 0}).model.weights
    assert isinstance(probe, StoredBackbone) and found.start is not None
    np.testing.assert_array_equal(found.start.tensors["weight"], probe.head["head.weight"])
    end = on.network.state_dict()["head.weight"].numpy()
    half = (probe.head["head.weight"] + end) / 2  # of the way from the start that all give
    np.testing.assert_allclose(tensors(found)["head.weight"].numpy(), half, atol=1e-6)


def test_training_on_neither_freezes_nor_unfreezes_again(watched: WatchedTrainings) -> None:
    """At the end of two epochs one group had joined in; in the first one only the head moved."""
    gradual = Gradual(first=0, frozen_share=0.0, until=1.0)
    found = watched.run(
        transfer={"trainable": gradual, "rates": Uniform(0.01)},
        trainer={"refit": "on", "refit_epochs": 1},
    )
    first, on = watched.calls
    assert first.trained.ended.epoch == 1
    moved = {group.name: group.moved for group in found.audit.groups}  # from the very start on
    assert moved["stem"] == moved["stages.0"] == 0 < min(moved["stages.1"], moved["head"])
    before, after = first.network.state_dict(), on.network.state_dict()
    moved = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    assert moved == {"backbone.stages.1.conv.weight", "head.weight", "head.bias"}


class Careless(PartOfTheWay):
    def place(self, classifier: Classifier, *given: Any) -> None:
        super().place(classifier, *given)
        with torch.no_grad():
            classifier.backbone.stem.conv.weight.add_(1e-3)


def test_what_a_part_moves_against_the_plan_is_an_error(watched: WatchedTrainings) -> None:
    with pytest.raises(UserError, match=r"keeps as it is: backbone\.stem\.conv\.weight"):
        watched.run(
            transfer={"trainable": LastGroups(1), "average": Careless([1.0]), "epochs": 1},
            trainer={"refit": "never"},
        )


def test_a_refit_unfreezes_where_held_out_pictures_had_asked_for_it(
    watched: WatchedTrainings,
) -> None:
    never_better = OnPlateau(first=0, frozen_share=0.0, patience=1, least_gain=0.99)
    strategy = {"trainable": never_better, "rates": Uniform(0.01), "epochs": 3}
    watched.run(transfer={**strategy, "average": Last([1.0])}, trainer={"refit": "again"})
    _, again = watched.calls
    assert not again.watched and len(again.trained.validated) == 0
    start, end = again.trained.start, again.network.state_dict()
    moved = {name for name, tensor in start.items() if not torch.equal(tensor, end[name])}
    assert moved == {"backbone.stages.1.conv.weight", "head.weight", "head.bias"}


@pytest.mark.parametrize("refit", ["on", "again"])
def test_rates_that_fell_stay_low_in_a_refit_or_fall_again(
    watched: WatchedTrainings, refit: str
) -> None:
    schedule = Plateau(0.0, 0.1, 0, 0.9)  # the second epoch never gains so much
    found = watched.run(
        trainer={"refit": refit}, transfer={"schedule": schedule, "epochs": 3, "rates": GENTLE}
    )
    rates = [row["lr"] / 1e-3 for row in found.rows if "lr" in row]
    first = [1.0, 0.1, 0.01]  # as an epoch ends, of the step that follows
    assert rates == pytest.approx([*first, *([0.033] * 2 if refit == "on" else first)])


def test_a_schedule_that_listens_needs_somebody_who_speaks(watched: WatchedTrainings) -> None:
    listening = {"schedule": Plateau(0.0, 0.1, 0, 0.9)}
    with pytest.raises(UserError, match="transfer.schedule: follows what held-out.*schedule=step"):
        watched.run(transfer=listening, selection={"method": "none"})
    assert not watched.calls


@pytest.mark.parametrize(
    "average",
    [EMA([0.5, 1.0], 0.9, 0.5), SWA([0.5, 1.0], 0.3), ModelSoup([0.5, 1.0], 2, True)],
    ids=["ema", "swa", "soup"],
)
def test_the_way_leads_to_the_average_which_is_the_same_every_time(
    watched: WatchedTrainings, average: PartOfTheWay
) -> None:
    settings = {"average": average, "epochs": 3, "rates": GENTLE}
    found = [watched.run(transfer=settings, trainer={"refit": "never"}) for _ in range(2)]
    assert same(tensors(found[0]), tensors(found[1]))
    mean = watched.calls[0].network.state_dict()
    watched.run(transfer={**settings, "average": Last([1.0])}, trainer={"refit": "never"})
    assert not same(mean, watched.calls[-1].network.state_dict())
    share = found[0].facts["trained_share"]
    start = watched.calls[0].trained.start["head.weight"]
    expected = start.lerp(mean["head.weight"], share)
    torch.testing.assert_close(tensors(found[0])["head.weight"], expected)
    said = "which epochs' weights to average" in found[0].record.words
    assert said == isinstance(average, ModelSoup)


def test_the_mean_of_epochs_has_statistics_of_its_own_pictures(watched: WatchedTrainings) -> None:
    settings = {"average": SWA([1.0], 0.3), "batch_norm": "trained", "epochs": 3, "rates": GENTLE}
    found = watched.run(transfer=settings, trainer={"refit": "never"})
    steps = 4  # an epoch: all pictures once
    state = tensors(found)
    counts = [int(t) for name, t in state.items() if name.endswith("num_batches_tracked")]
    assert counts and set(counts) <= {0, steps} and steps in counts


def test_where_training_on_destroys_the_network_that_chose_is_kept(
    watched: WatchedTrainings,
) -> None:
    gone = GoneBack(1, 9, 3.0, 0.5, 1.0)
    watched.without_training(FITTED, gone)
    found = watched.run(trainer={"refit": "on"}, transfer={"average": PartOfTheWay([1.0])})
    first, _ = watched.calls
    assert found.record.gone_back == [gone] and not found.record.ended_as_start
    assert found.record.fitted == len(first.fit) < FITTED
    assert same(tensors(found), first.network.state_dict())


def test_a_refit_is_on_everything_and_as_many_steps_long(watched: WatchedTrainings) -> None:
    """An epoch of everything has 5 steps, of what is not held out 4."""
    found = watched.run(trainer={"refit": "again"}, transfer={"average": PartOfTheWay([0.5])})
    first, again = watched.calls
    assert first.fit < again.fit and len(again.fit) == FITTED == found.record.fitted
    assert first.watched == {"val": again.fit - first.fit} and again.watched == {}
    assert first.trained.steps == again.trained.steps == again.steps == 2 * 4
    assert (first.steps, first.factor, again.factor) == (None, 1.0, 1.0)
    head = found.start
    assert head is not None
    probe = watched.run(transfer={"epochs": 0}).model.weights
    assert isinstance(probe, StoredBackbone)
    begun = head.tensors["weight"]  # from all of them
    np.testing.assert_array_equal(begun, probe.head["head.weight"])
    seen = first.trained.start["head.weight"].numpy()
    assert (seen != begun).any()  # the first one's had not seen what was held out
    start, end = again.trained.start, again.network.state_dict()
    name = "head.weight"
    torch.testing.assert_close(tensors(found)[name], (start[name] + end[name]) / 2)
    assert found.held_out is not None
    assert set(found.held_out[0]["sha256"]) == again.fit - first.fit  # the first one's words


@pytest.mark.parametrize(("min_val", "expected"), [(7, True), (9, False)])
def test_when_epochs_can_be_told_apart(
    watched: WatchedTrainings, min_val: int, expected: bool
) -> None:
    """Seven or eight of 39 are held out; a refit has nothing that could choose an epoch."""
    watched.without_training(FITTED)
    found = watched.run(trainer={"refit": "again"}, selection={"min_val": min_val})
    assert [call.enough for call in watched.calls] == [expected, False]
    assert found.record.held_out in (7, 8)


def test_each_fold_has_a_network_and_what_they_say_is_pooled(watched: WatchedTrainings) -> None:
    found = watched.run(
        selection={"folds": 3}, trainer={"refit": "never"}, transfer={"average": Best([1.0])}
    )
    *firsts, again = watched.calls
    everything = again.fit
    assert len(firsts) == 3 and len(everything) == FITTED and found.record.folds == 3
    away = [everything - call.fit for call in firsts]
    assert set().union(*away) == everything and sum(map(len, away)) == FITTED
    assert [call.watched for call in firsts] == [{"val": out} for out in away]
    assert found.held_out is not None
    rows, probabilities = found.held_out
    for out, call in zip(away, firsts, strict=True):
        mine = rows["sha256"].isin(out).to_numpy()
        logits = network_logits(watched.experiment, watched.artifacts, call.network, rows[mine])
        np.testing.assert_allclose(probabilities[mine], softmax(logits), rtol=1e-4, atol=1e-6)
    assert again.steps == max(call.trained.steps for call in firsts)
    best = [_best(found.rows[1 + 2 * fold :][:2]) for fold in range(3)]
    assert [call.trained.epoch for call in firsts] == best
    assert found.record.fitted == FITTED and same(tensors(found), again.network.state_dict())


def _best(rows: list[dict[str, float]]) -> float:
    return max(rows, key=lambda row: (row["val/top1"], -row["val/loss"]))["epoch"]


def test_a_refit_that_never_comes_back_ends_as_the_probe_and_the_record_says_so(
    watched: WatchedTrainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held-out pictures spoke for a share of a training that is not there."""
    gone = GoneBack(1, 9, 3.0, 0.5, 1.0)
    watched.without_training(FITTED, gone)
    shares = [0.0, 0.5, 1.0]
    real = networks.chosen_point

    def the_end(*given: Any) -> tuple[float, list[WayPoint]]:
        points = real(*given)[1]
        return 1.0, [dataclasses.replace(p, chosen=p.share == 1.0) for p in points]

    monkeypatch.setattr(networks, "chosen_point", the_end)
    found = watched.run(transfer={"average": PartOfTheWay(shares)}, trainer={"refit": "again"})
    assert len(watched.calls) == 2
    assert found.record.gone_back == [gone] and found.record.ended_as_start
    points = found.record.shares or []
    assert [point.share for point in points if point.chosen] == [0.0]
    assert found.facts["trained_share"] == 0.0
    assert isinstance(found.model.weights, StoredBackbone)
