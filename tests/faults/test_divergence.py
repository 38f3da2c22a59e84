"""A training that meets a step without numbers: what is kept, and how it goes on."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from cut_trainings import Cut, Trainings
from forked_processes import Forked
from tiny_transfer import draw_photos, save_weights

from graftwork.training.before_step import BeforeStep
from graftwork.training.diverging import Diverged, pictures_named
from graftwork.training.graft_module import GraftModule
from graftwork.training.resuming.files import newest

STEP_OF_TWO = 2  # likewise of two processes
STEP = 4  # that has no numbers, from 0: the second of the second epoch, of three
SETTINGS = (  # dropout draws, statistics move, a step has two passes
    *("trainer.refit=never", "model/head=mlp", "model.head.hidden=16"),
    *("transfer=fine_tune", "transfer.batch_norm=trained"),
    *("trainer.batch_size=5", "trainer.accumulate=2", "transfer.epochs=3"),
)


@pytest.fixture(scope="module")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> Trainings:
    place = tmp_path_factory.mktemp("diverged")
    draw_photos(place / "photos")
    save_weights(place / "weights.pth")
    return Trainings(place / "photos", place / "weights.pth", place / "run", *SETTINGS)


def set_to(trainings: Trainings, on_divergence: str) -> Trainings:
    """The same, with this policy."""
    experiment = trainings.experiment
    trainer = dataclasses.replace(experiment.trainer, on_divergence=on_divergence)
    trainings.experiment = dataclasses.replace(experiment, trainer=trainer)
    return trainings


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """At one step the gradient is no number."""
    real = GraftModule.on_before_optimizer_step

    def broken(module: GraftModule, optimizer: Any) -> None:
        real(module, optimizer)
        if module.trainer.global_step == STEP:
            next(module.classifier.head.parameters()).grad.fill_(torch.nan)

    monkeypatch.setattr(GraftModule, "on_before_optimizer_step", broken)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def folder_of(place: Path) -> Path:
    (found,) = place.iterdir()
    return found


@pytest.mark.usefixtures("poisoned")
def test_it_is_kept_as_it_was_before_the_step(
    trainings: Trainings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last bit: as a checkpoint says that was taken after the step before."""
    set_to(trainings, "stop")
    with pytest.raises(Cut):
        trainings.run(tmp_path / "cut", monkeypatch, 2 * STEP, every=1)
    wanted = r"the gradient is nan in epoch 2, step 2, a batch of 10 pictures \(.*photos.*jpg and 7"
    with pytest.raises(Diverged, match=f"{wanted}.*graftwork replay.*on_divergence=skip"):
        trainings.run(tmp_path / "ended", monkeypatch, every=100)
    cut, ended = (newest(folder_of(tmp_path / name)) for name in ("cut", "ended"))
    assert cut is not None and ended is not None and ended["epoch"] == 1 and ended["batch"] == 2
    for name in ("zero_grad",):  # counted, and never read
        for state in (cut, ended):
            del state["loops"]["epoch_loop.automatic_optimization.optim_progress"]["optimizer"][
                name
            ]
            del state["loops"]["epoch_loop.state_dict"]
    assert [name for name in cut if not same(cut[name], ended[name])] == []
    assert math.isfinite(sum(float(t.sum()) for t in ended["buffers"].values()))


@pytest.mark.usefixtures("poisoned")
def test_what_is_written_down_says_which_pictures_they_were(
    trainings: Trainings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_to(trainings, "stop")
    with pytest.raises(Diverged):
        trainings.run(tmp_path, monkeypatch)
    record = json.loads((folder_of(tmp_path) / "diverged.step").read_text())
    assert (record["epoch"], record["step"], record["done"], record["attempt"]) == (1, 1, STEP, 1)
    assert record["norm"] == "nan" and 0 < float.fromhex(record["loss"]) < 9
    assert len(record["before"]) == 2  # its window
    (shown,) = record["shown"]
    epochs, rows = zip(*shown["keys"], strict=True)
    assert set(epochs) == {1} and len(set(rows)) == 10 == len(shown["path"])
    assert all(Path(path).is_file() for path in shown["path"])


@pytest.mark.usefixtures("poisoned")
def test_started_again_it_passes_over_the_step_as_if_it_always_had(
    trainings: Trainings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = set_to(trainings, "skip").run(None, monkeypatch)
    assert [row.get("train/passed_over") for row in whole.rows] == [None, 1.0, 1.0]
    assert all(math.isfinite(row["train/loss"]) for row in whole.rows)
    steps = trainings.steps
    with pytest.raises(Diverged):
        set_to(trainings, "stop").run(tmp_path, monkeypatch)
    assert set_to(trainings, "skip").run(tmp_path, monkeypatch) == whole
    assert trainings.steps == steps - 2 * STEP
    with pytest.raises(Diverged):  # what has passed over a step is not taken for what stops
        set_to(trainings, "stop").run(tmp_path, monkeypatch)


@pytest.mark.slow
def test_two_processes_end_at_the_same_step_and_pass_over_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them has a loss that is no number; both are kept, and skip what both have skipped."""
    draw_photos(tmp_path / "photos")
    save_weights(tmp_path / "weights.pth")
    two = Trainings(
        tmp_path / "photos", tmp_path / "weights.pth", tmp_path / "of two", *SETTINGS,
        "trainer.batch_size=6", "trainer.processes=2",
    )  # fmt: skip
    real = GraftModule.minimised

    def broken(module: GraftModule, images: Any, labels: Any, moment: Any, *part: int) -> Any:
        found = real(module, images, labels, moment, *part)
        if moment.step != STEP_OF_TWO or os.environ["RANK"] == "0":
            return found
        return dataclasses.replace(found, total=found.total * math.nan, loss=found.loss * math.nan)

    monkeypatch.setattr(GraftModule, "minimised", broken)

    def run(policy: str, place: Path | None) -> Any:
        try:
            return set_to(two, policy).run(place, monkeypatch, every=100)
        except Diverged as error:
            return str(error.at)

    stopped = Forked(lambda: run("stop", tmp_path / "kept"), tmp_path / "stopped", 2)
    assert stopped.wait() == [0, 0] and stopped.value == "the loss is nan in epoch 2, step 1"
    went_on = Forked(lambda: run("skip", tmp_path / "kept"), tmp_path / "went on", 2)
    whole = Forked(lambda: run("skip", None), tmp_path / "whole", 2)
    assert went_on.wait() == [0, 0] == whole.wait()
    assert went_on.value == whole.value and not isinstance(whole.value, str)


def test_noting_every_step_changes_no_bit(
    trainings: Trainings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = set_to(trainings, "stop").run(None, monkeypatch)
    real = BeforeStep.note
    monkeypatch.setattr(BeforeStep, "note", lambda self: (real(self), self.give_back()))
    assert set_to(trainings, "stop").run(None, monkeypatch) == whole


def test_the_first_few_pictures_are_named() -> None:
    assert pictures_named(["a", "b"]) == "a, b"
    assert pictures_named(list("abcde")) == "a, b, c and 2 more"
