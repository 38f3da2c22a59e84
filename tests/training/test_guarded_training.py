"""Whole trainings that destroy a network: what is done about it, and who is told."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from tiny_experiment import tiny_experiment
from tiny_transfer import draw_photos, save_weights, transfer_params

from graftwork.experiment import Experiment
from graftwork.model_folder import contents as model_folder
from graftwork.reporting.choice import KEPT_START
from graftwork.selecting.first_head import FirstHead
from graftwork.selecting.record import SelectionRecord
from graftwork.storage.artifacts import Artifacts
from graftwork.training.guard import ATTEMPTS
from pipelines import evaluate, finetune

RECKLESS = {
    "times_100": ["transfer.rates.step=1.0"],  # lp_ft's own is 0.003
    "hopeless": ["transfer/rates=uniform", "transfer.rates.lr=10"],
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("project")
    draw_photos(place / "photos")
    save_weights(place / "weights.pth")
    return place


def finetuned(project: Path, name: str, *overrides: str) -> tuple[Experiment, Artifacts]:
    found = transfer_params(
        project / "photos", project / "weights.pth", "selection=random", *overrides
    )
    experiment, artifacts = tiny_experiment(found, project / name, project)
    finetune.run(experiment, artifacts)
    return experiment, artifacts


def guard_metrics(artifacts: Artifacts) -> dict[str, float]:
    client = MlflowClient(f"sqlite:///{artifacts.mlflow_db}")
    run = client.get_run(json.loads(artifacts.run.read_text())["run_id"])
    assert run.info.status == "FINISHED"
    return {name: value for name, value in run.data.metrics.items() if name.startswith("guard/")}


def digests(artifacts: Artifacts) -> list[str]:
    names = (model_folder.BACKBONE, model_folder.HEAD)
    return [hashlib.sha256((artifacts.model / name).read_bytes()).hexdigest() for name in names]


def test_a_destroyed_network_is_trained_again_more_slowly_and_everybody_is_told(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At a hundred times the rates; what is kept is trained, on everything, as slowly."""
    experiment, artifacts = finetuned(
        project,
        "times_100",
        *RECKLESS["times_100"],
        "transfer.average.trained_shares=[1.0]",
        "transfer.schedule.warmup=0.25",
        "trainer.refit=again",
    )
    said = capsys.readouterr().err
    record = SelectionRecord.read(artifacts.selection)
    attempts = len(record.gone_back)
    assert record.gone_back[0].attempt == 1 and not record.ended_as_start
    for number, back in enumerate(record.gone_back):  # of the refit too, which goes on as slowly
        assert back.factor == pytest.approx(3.0**-number)
        assert back.step <= 24 and back.loss is not None and back.loss > back.start_loss
        assert (
            f"after {back.step} steps the loss is {back.loss:.3f}, {back.start_loss:.3f} before "
            "the first. It goes back to where it began, with a third of the rates."
        ) in said
    told = {"guard/gone_back": attempts, "guard/ended_as_start": 0}
    assert guard_metrics(artifacts) == told
    refit = pd.read_csv(artifacts.history)[-9:]  # as many steps, in longer epochs
    start = FirstHead.read(artifacts.start)
    assert start is not None
    peak = 3.0**-attempts * np.sqrt(np.square(start.tensors["weight"]).mean())
    assert refit["lr"].max() == pytest.approx(peak, rel=0.05)  # it lies within an epoch
    assert refit["train/loss"].iloc[-1] < record.gone_back[0].start_loss
    training = model_folder.read_contract(artifacts.model).training
    assert (training["trained_share"], training["fitted"]) == (1.0, 39)
    evaluate.run(experiment, artifacts)
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.count("Training destroyed the network. Attempt") == attempts
    assert KEPT_START not in shown


def test_what_training_on_destroys_stays_as_it_was_before(project: Path) -> None:
    """Its head was never computed, but it was trained: it is worth keeping."""
    told = ("transfer=fine_tune", "transfer.epochs=1", "transfer.least_steps=0")
    _, plain = finetuned(project, "plain", *told, "trainer.refit=never")
    _, on = finetuned(project, "on", *told, "trainer.refit=on", "trainer.refit_rate=1e6")
    assert digests(on) == digests(plain)
    assert len(SelectionRecord.read(on.selection).gone_back) == ATTEMPTS


def test_what_no_attempt_brings_back_ends_as_the_probe_with_a_warning(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment, artifacts = finetuned(project, "hopeless", *RECKLESS["hopeless"])
    assert capsys.readouterr().err.count("training destroys the network") == ATTEMPTS
    record = SelectionRecord.read(artifacts.selection)
    factors = [back.factor for back in record.gone_back]
    assert factors == pytest.approx([1, 1 / 3, 1 / 9, 1 / 27]) and record.ended_as_start
    assert guard_metrics(artifacts) == {"guard/gone_back": ATTEMPTS, "guard/ended_as_start": 1.0}
    _, probe = finetuned(project, "probe", "transfer=linear_probe")
    assert digests(artifacts) == digests(probe)
    assert guard_metrics(probe) == {"guard/gone_back": 0.0, "guard/ended_as_start": 0.0}
    capsys.readouterr()
    evaluate.run(experiment, artifacts)
    assert KEPT_START in " ".join(capsys.readouterr().out.split())
