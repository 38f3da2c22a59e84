"""A training that is cut and started again is the one that was not: tensors, curves, facts."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from cut_trainings import Cut, End, Trainings
from tiny_transfer import draw_photos, save_weights

from graftwork.training.resuming.legs import Legs, digest_of
from graftwork.training.resuming.ongoing import Ongoing
from graftwork.training.resuming.settings import plain, settings_of

STEPS = 8  # of `short`
Made = Callable[..., Trainings]
CASES = {  # what each brings that has to go on
    "a head and a network, two passes a step, loaded by two workers": [
        *("trainer.workers=2", "trainer.batch_size=4", "trainer.accumulate=2"),
        *("transfer=fine_tune", "model/head=mlp", "model.head.hidden=16"),
        "trainer.refit=never",
    ],
    "gradual unfreezing, an average of weights, mixed pictures": [
        *("transfer=gradual_unfreeze", "transfer/average=ema", "transfer/objective=mixed"),
        "transfer.epochs=3",
    ],
    "low-rank updates, rates by what is held out, a new training of as many steps": [
        *("transfer=lora", "transfer/schedule=plateau", "transfer.schedule.patience=1"),
        *("transfer.schedule.threshold=0.9", "trainer.refit=again", "transfer.epochs=3"),
    ],
    "stored maps, the best epochs, part of the way": [
        *("transfer=freeze_layers", "extraction.prefix=stored", "augmentation=none"),
        *("transfer/average=soup", "transfer.average.trained_shares=[0.5,1.0]"),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """`made(*overrides)`: an experiment on photos that are drawn once."""
    place = tmp_path_factory.mktemp("cut")
    draw_photos(place / "photos")
    save_weights(place / "weights.pth")

    def trainings(*overrides: str) -> Trainings:
        project = place / str(len(list(place.iterdir())))
        return Trainings(place / "photos", place / "weights.pth", project, *overrides)

    return trainings


@pytest.fixture(scope="module")
def short(made: Made) -> Trainings:
    return made("trainer.refit=never")


@pytest.fixture(scope="module")
def whole(short: Trainings) -> End:
    """What it comes to where nothing is cut."""
    return short.run(None, pytest.MonkeyPatch())


@pytest.mark.parametrize("case", CASES)
def test_cut_at_any_step_it_goes_on(
    case: str, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainings = made(*CASES[case])
    whole = trainings.run(None, monkeypatch)
    steps, passes = trainings.steps, trainings.experiment.trainer.accumulate
    cuts = [passes * cut for cut in (2, 2, 2, 3)]  # in epochs, at the end of one, in the second leg
    cuts = cuts[:1] if trainings.experiment.trainer.refit == "never" else cuts
    found = trainings.resumed(tmp_path / "kept", monkeypatch, cuts)
    assert trainings.steps == steps - sum(cuts)  # nothing is done twice
    assert found == whole


def test_rows_behind_the_last_checkpoint_are_told_again(
    short: Trainings, whole: End, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert short.resumed(tmp_path, monkeypatch, [3], every=2) == whole
    assert short.steps == STEPS - 2


def test_a_leg_that_is_done_is_not_done_again(
    short: Trainings, whole: End, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert short.run(tmp_path, monkeypatch) == whole
    assert short.run(tmp_path, monkeypatch) == whole
    assert short.steps == 0


def test_with_a_damaged_checkpoint_it_goes_on_from_the_one_before(
    short: Trainings, whole: End, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Cut):
        short.run(tmp_path, monkeypatch, 4)
    (newest,) = tmp_path.glob("*/01-000000004.0.pt")
    newest.write_bytes(newest.read_bytes()[:-9])
    assert short.run(tmp_path, monkeypatch) == whole
    assert short.steps == STEPS - 3


def test_a_full_disk_ends_no_training(
    short: Trainings, whole: End, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left")))
        assert short.run(tmp_path, monkeypatch) == whole
    assert "No space left" in caplog.text and str(tmp_path) in caplog.text


def test_another_training_is_not_taken_for_it(short: Trainings, made: Made) -> None:
    settings = settings_of(short.experiment)
    assert "evaluation" not in settings and "workers" not in settings["trainer"]
    legs = Legs(Path("x"), None, None, None)
    assert legs.leg(settings) == legs.leg(settings_of(short.experiment))
    changed = {**settings, "seed": 1}
    assert legs.leg(settings).folder != legs.leg(changed).folder
    one, other = {"w": torch.zeros(2)}, {"w": torch.tensor([0.0, 1e-45])}
    assert digest_of(one) != digest_of(other) != digest_of({"v": torch.zeros(2)})
    assert plain({2, 1}) == plain({1, 2}) == ["1", "2"]


def test_its_folder_follows_from_what_defines_it(short: Trainings) -> None:
    first = Ongoing.of(short.experiment, short.artifacts)
    assert first == Ongoing.of(short.experiment, short.artifacts)
    assert first.folder.parent == short.artifacts.training
    short.artifacts.manifest.touch()
    assert first == Ongoing.of(short.experiment, short.artifacts)


def test_the_name_of_the_mlflow_run_outlives_what_dvc_removes(short: Trainings) -> None:
    ongoing = Ongoing.of(short.experiment, short.artifacts)
    short.artifacts.run.write_text(json.dumps({"run_id": "abc"}))
    ongoing.note_run()
    short.artifacts.run.unlink()
    ongoing.take_up_run()
    assert json.loads(short.artifacts.run.read_text()) == {"run_id": "abc"}
    ongoing.forget()
    short.artifacts.run.unlink()
    ongoing.take_up_run()
    assert not short.artifacts.run.exists() and not ongoing.folder.exists()
