"""Training from stored maps: the same as training from pictures, whatever is asked of it."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_experiment import tiny_experiment
from tiny_transfer import draw_photos, save_weights, transfer_params
from watched_trainings import WatchedTrainings

from graftwork.augmentations.policy import Policy
from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.models.network.classifier import Classifier
from graftwork.storage.artifacts import Artifacts
from graftwork.training.datamodule import TrainingOrder
from graftwork.training.source import Finetuned
from graftwork.training.stored_prefix import Maps
from graftwork.transfer.averages import Last
from graftwork.transfer.bound.penalty import BoundPenalty
from graftwork.transfer.parts import Penalty
from graftwork.transfer.samplers import ClassBalanced, Shuffled
from graftwork.transfer.trainable import All, HeadOnly

LIVE, STORED = {"prefix": "live"}, {"prefix": "stored"}
SMALL = {"max_gb": 1e-6, "batch_size": 9}  # a batch in which no test before has stored
ONCE: dict[str, Any] = {"trainer": {"refit": "never"}}  # one training


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Experiment, Artifacts]:
    """tiny_cnn: the stem is frozen, the stages and the head are trained."""
    place = tmp_path_factory.mktemp("prefixes")
    draw_photos(place / "photos")
    save_weights(place / "weights.pth")
    values = transfer_params(
        place / "photos", place / "weights.pth", "selection=random", "trainer.batch_size=7",
        "augmentation=standard", "extraction.views=2", "transfer.epochs=3",
        "trainer.precision=fp32",
        "transfer.average.trained_shares=[0.5,1.0]",
    )  # fmt: skip
    return tiny_experiment(values, place / "project")


@pytest.fixture
def watched(
    prepared: tuple[Experiment, Artifacts], monkeypatch: pytest.MonkeyPatch
) -> WatchedTrainings:
    return WatchedTrainings(prepared, monkeypatch)


def tensors(found: Finetuned) -> dict[str, torch.Tensor]:
    assert isinstance(found.model.weights, Classifier)
    return found.model.weights.state_dict()


def same(one: Finetuned, other: Finetuned) -> None:
    """Their weights, curves and what they say of held-out pictures."""
    for name, tensor in tensors(one).items():
        torch.testing.assert_close(tensors(other)[name], tensor, rtol=1e-4, atol=1e-5)
    for row, like in zip(one.rows, other.rows, strict=True):
        assert row == pytest.approx(like, rel=1e-3, abs=1e-4)
    assert one.held_out is not None and other.held_out is not None
    assert list(one.held_out[0]["sha256"]) == list(other.held_out[0]["sha256"])
    np.testing.assert_allclose(one.held_out[1], other.held_out[1], atol=1e-4)


def test_stored_and_live_training_agree(watched: WatchedTrainings) -> None:
    """The hold-out, the points on the way, and what all pictures make of it."""
    trainer = {"refit": "on", "refit_epochs": 3}
    live = watched.run(extraction=LIVE, trainer=trainer)
    stored, again = (watched.run(extraction=STORED, trainer=trainer) for _ in range(2))
    same(live, stored)
    for name, tensor in tensors(stored).items():
        assert torch.equal(tensor, tensors(again)[name]), "the same seed gives the same bits"
    prefixes = [call.trained.prefix for call in watched.calls]
    assert prefixes[:2] == [None, None], "one training chose, the other is kept"
    assert [p.split.boundary for p in prefixes[2:] if p is not None] == ["stem"] * 4
    assert live.record.shares is not None and stored.record.shares is not None
    pairs = zip(live.record.shares, stored.record.shares, strict=True)
    assert all(one.top1 == other.top1 for one, other in pairs)


def test_where_statistics_follow_the_data_what_is_before_them_is_stored(
    watched: WatchedTrainings,
) -> None:
    transfer = {"batch_norm": "adapt", "average": Last([1.0])}
    live, stored = (
        watched.run(extraction=how, transfer=transfer, **ONCE) for how in (LIVE, STORED)
    )
    same(live, stored)
    prefix = watched.calls[1].trained.prefix
    assert prefix is not None and prefix.split.boundary == "stem.conv"


def test_maps_in_bf16_say_nearly_the_same_of_held_out_pictures(watched: WatchedTrainings) -> None:
    half = {"precision": "bf16", "views": 1}
    live, stored = (watched.run(extraction={**how, **half}, **ONCE) for how in (LIVE, STORED))
    prefix = watched.calls[1].trained.prefix
    assert prefix is not None and prefix.maps.store.dtype == np.int16
    assert live.held_out is not None and stored.held_out is not None
    np.testing.assert_allclose(live.held_out[1], stored.held_out[1], atol=0.02)


def test_views_that_never_return_are_those_of_always(watched: WatchedTrainings) -> None:
    always, many = (
        watched.run(extraction={"views": views}, **ONCE)
        for views in (None, 3)  # as many as there are epochs
    )
    assert [call.trained.prefix for call in watched.calls] == [None, None]
    for name, tensor in tensors(always).items():
        assert torch.equal(tensor, tensors(many)[name])


def test_with_a_balanced_sampler_a_picture_that_comes_twice_has_its_next_view(
    watched: WatchedTrainings,
) -> None:
    settings: dict[str, Any] = {
        **ONCE,
        "transfer": {"sampler": ClassBalanced()},
    }
    same(watched.run(extraction=LIVE, **settings), watched.run(extraction=STORED, **settings))
    assert [call.trained.prefix is not None for call in watched.calls] == [False, True]


def test_of_a_frozen_backbone_the_features_are_stored(watched: WatchedTrainings) -> None:
    settings: dict[str, Any] = {
        **ONCE,
        "transfer": {"trainable": HeadOnly()},
    }
    same(watched.run(extraction=LIVE, **settings), watched.run(extraction=STORED, **settings))
    (prefix,) = [call.trained.prefix for call in watched.calls if call.trained.prefix is not None]
    assert prefix.split.shape == (64,)


def test_processes_share_each_batch_of_maps(watched: WatchedTrainings) -> None:
    found = watched.run(extraction=STORED, **ONCE).held_out
    prefix = watched.calls[0].trained.prefix
    assert prefix is not None and found is not None
    maps, sampler = Maps(found[0], [prefix._still(found[0])], prefix.maps), Shuffled()
    orders = [TrainingOrder(maps.labels, 4, 0, sampler, rank, 2) for rank in (0, 1)]
    for whole, *parts in zip(TrainingOrder(maps.labels, 4, 0, sampler), *orders, strict=True):
        together = [torch.cat(halves) for halves in zip(*(maps[p] for p in parts), strict=True)]
        assert all(map(torch.equal, maps[whole], together))
    store = prefix.maps.store  # a loading process opens it for itself
    key, sent = prefix._still(found[0])[0], pickle.dumps(store)
    assert len(sent) < 1000 and np.array_equal(pickle.loads(sent)[key], store[key])


@dataclasses.dataclass(frozen=True)
class Looks(Penalty):
    """Adds nothing."""

    def bound(self, *_: Any) -> Any:
        import contextlib

        empty: Any = contextlib.nullcontext()
        return empty

    def at_work(self) -> BoundPenalty | None:
        return None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"extraction": {"views": 3}},
            "each of 3 views of a picture would be seen once in 3 epochs",
        ),
        ({"extraction": SMALL}, "and extraction.max_gb is 1e-06"),
        ({"transfer": {"trainable": All()}}, "its first layers are trained"),
        ({"transfer": {"penalties": {"seen": Looks()}}}, "the penalty seen looks at pictures"),
    ],
)
def test_where_maps_cannot_be_stored_auto_says_why(
    watched: WatchedTrainings,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    said: str,
) -> None:
    watched.run(**ONCE, **changes)
    assert watched.calls[0].trained.prefix is None
    assert "the frozen layers are run in every epoch: " in (text := capsys.readouterr().err)
    assert said in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"extraction": {"views": None}}, "stored, but augmentation=standard draws a new view"),
        ({"transfer": {"penalties": {"seen": Looks()}}}, "stored, but the penalty seen looks at"),
        ({"transfer": {"trainable": All()}}, "tiny_cnn cannot be split: its first layers are trai"),
        ({"extraction": SMALL}, "stored, but the maps of .* Raise extraction.max_gb"),
    ],
)
def test_what_cannot_be_stored_is_refused_where_it_was_asked_for(
    watched: WatchedTrainings, changes: dict[str, Any], said: str
) -> None:
    changes = {**changes, "extraction": {**STORED, **changes.get("extraction", {})}}
    with pytest.raises(UserError, match=said):
        watched.run(**changes)


def test_pictures_that_stay_the_same_need_no_number_of_views(watched: WatchedTrainings) -> None:
    policy = watched.experiment.augmentation
    assert isinstance(policy, Policy) and not policy.is_still
    off: dict[str, Any] = {
        field.name: 0.0 for field in dataclasses.fields(policy) if field.type == "float"
    }
    still = {**off, "crop_scale": None, "crop_ratio": 1.0}
    watched.run(augmentation=still, extraction={**STORED, "views": None}, trainer={"refit": "on"})
    prefixes = [call.trained.prefix for call in watched.calls]
    assert all(p is not None and p.views.count == 1 for p in prefixes)


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path: Path) -> None:
    from graftwork.model_folder import contents as model_folder
    from pipelines import finetune

    draw_photos(tmp_path / "photos")
    save_weights(tmp_path / "weights.pth")
    found = []
    for processes in (1, 2):
        values = transfer_params(
            tmp_path / "photos", tmp_path / "weights.pth", "selection=random",
            "trainer.batch_size=8", "augmentation=light", "extraction.views=2", "transfer.epochs=3",
            "extraction.prefix=stored", "trainer.precision=fp32", "trainer.refit=never",
            f"trainer.processes={processes}", "trainer.accelerator=cpu",
        )  # fmt: skip
        experiment, artifacts = tiny_experiment(values, tmp_path / f"project{processes}")
        finetune.run(experiment, artifacts)
        contract = model_folder.read_contract(artifacts.model)
        assert contract.training["stored_prefix"] == "stem"
        found.append(model_folder.read_tensors(artifacts.model, contract))
    for name, tensor in found[0].items():
        np.testing.assert_allclose(found[1][name], tensor, rtol=1e-3, atol=1e-5)
