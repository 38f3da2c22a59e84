"""The whole pipeline with every network of conf/model, from scratch, on a tiny folder of photos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import COLOURS, CONF, composed
from small_input import overrides, small
from tiny_experiment import local_weights, tiny_experiment

from graftwork.cli import catalogue
from graftwork.models.backbones import register
from graftwork.process.vision import timm
from graftwork.serving.predictor import Predictor
from graftwork.storage.artifacts import Artifacts
from pipelines import evaluate, extract_features, finetune

QUICK = 1e6  # parameters; larger networks wait for `make slow`
LIKE = ("plain20", "plain56", "resnet56")  # so do these: resnet20 without shortcuts, and deeper
ENTRIES = {entry.word: entry for entry in catalogue.entries(CONF)}


def cases() -> list[Any]:
    small = {word for word, e in ENTRIES.items() if e.parameters and e.parameters[0] < QUICK}
    quick = small.difference(LIKE)
    return [pytest.param(w, marks=[pytest.mark.slow] * (w not in quick)) for w in ENTRIES]


def params(photos: Path, *overrides: str) -> dict[str, Any]:
    given = ("dataset=folder", f"dataset.path={photos}", "trainer=smoke")
    return composed(*given, "evaluation.bootstrap_samples=100", *overrides)


def run(values: dict[str, Any], root: Path) -> Artifacts:
    experiment, artifacts = tiny_experiment(values, root)
    for stage in (extract_features, finetune, evaluate):
        stage.run(experiment, artifacts)
    return artifacts


def check_results(artifacts: Artifacts, photos: Path) -> None:
    """A score of every test photo, and a model folder that predicts on its own."""
    test = json.loads(artifacts.metrics.read_text())["test"]
    assert test["top1"]["n"] == 15 and 0 <= test["top1"]["value"] <= 1
    predictor = Predictor(artifacts.model)
    assert predictor.classes == sorted(COLOURS)
    pictures = [file.read_bytes() for file in sorted(photos.glob("test/*/*.jpg"))]
    assert predictor.probabilities(pictures).sum(1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("word", cases())
def test_it_trains_and_predicts(word: str, tiny_folder: Path, tmp_path: Path) -> None:
    size = f"model.input_size={small(word).input_size or 'null'}"
    given = [*overrides(word), size, "transfer=from_scratch"]
    values = params(tiny_folder, *given)
    check_results(run(values, tmp_path / "run"), tiny_folder)


@pytest.mark.parametrize("transfer", ["linear_probe", "fine_tune"])
def test_a_network_of_colour_is_transferred_to_grey_pictures(
    transfer: str, tiny_folder: Path, tmp_path: Path
) -> None:
    register()
    torch.save(timm.create_model("tiny_cnn").state_dict(), tmp_path / "w.pth")
    values = params(tiny_folder, "model=tiny_cnn", f"transfer={transfer}", "model.input_channels=1")
    values["model"]["weights"] = local_weights(tmp_path / "w.pth")
    artifacts = run(values, tmp_path / "run")
    check_results(artifacts, tiny_folder)
    contract = json.loads((artifacts.model / "model.json").read_text())
    assert contract["input_spec"]["mean"] == [0.5]
