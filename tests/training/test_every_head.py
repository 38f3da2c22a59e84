"""Every head on stored features: fitted, saved, loaded bit for bit, predicted with, trained on."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from conftest import CONF, composed
from tiny_experiment import tiny_experiment
from tiny_transfer import draw_photos, save_weights, transfer_params
from watched_trainings import WatchedTrainings

from graftwork.config.components import build
from graftwork.data import manifest
from graftwork.data.folds import NEVER
from graftwork.evaluating.probabilities import by_features, softmax
from graftwork.experiment import Experiment
from graftwork.features.feature_store import features_of
from graftwork.model_folder import contents as model_folder
from graftwork.model_folder.saving import StoredBackbone, save
from graftwork.models.network.classifier import Classifier
from graftwork.selecting.first_head import FirstHead
from graftwork.serving.predictor import Predictor
from graftwork.storage.artifacts import Artifacts
from graftwork.training.source import Finetuned
from graftwork.transfer.parts import HeadInit
from graftwork.transfer.strategy import Transfer

HEADS = [
    "class_means", "cosine_probe", "knn", "linear_probe", "mlp_probe", "ridge_probe", "svm_probe",
]  # fmt: skip
CLASSES = ["blue", "green", "red"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Experiment, Artifacts]:
    place = tmp_path_factory.mktemp("heads")
    draw_photos(place / "photos")
    save_weights(place / "weights.pth")
    values = transfer_params(
        place / "photos", place / "weights.pth", "selection=random", "trainer.batch_size=32",
        "transfer.epochs=1", "transfer.average.trained_shares=[1.0]",
    )  # fmt: skip
    return tiny_experiment(values, place / "project")


@pytest.fixture
def watched(
    prepared: tuple[Experiment, Artifacts], monkeypatch: pytest.MonkeyPatch
) -> WatchedTrainings:
    return WatchedTrainings(prepared, monkeypatch)


def strategy(name: str) -> Transfer:
    return build(composed(f"transfer={name}")["transfer"], Transfer, "transfer")


def head_init(name: str) -> HeadInit:
    values = composed("transfer=linear_probe", f"transfer/head_init={name}")["transfer"]
    return build(values["head_init"], HeadInit, "head_init")  # type: ignore[type-abstract]


def saved(folder: Path, experiment: Experiment, found: Finetuned) -> dict[str, bytes]:
    """The model folder's files, without the backbone's."""
    save(
        folder, found.model.weights, experiment=experiment, head=found.model.head,
        input_spec=found.model.input_spec, classes=CLASSES, training=found.facts, pretrained=None,
        data_digest="d",
    )  # fmt: skip
    names = (model_folder.HEAD, model_folder.CONTRACT)
    return {name: (folder / name).read_bytes() for name in names}


def test_every_strategy_without_training_is_looked_at() -> None:
    """They all inherit from linear_probe, which trains nothing; composing them all takes long."""
    files = {path.stem: yaml.safe_load(path.read_text()) for path in CONF.glob("transfer/*.yaml")}
    still = [
        name
        for name, values in files.items()
        if values.get("epochs", 0 if "linear_probe" in values["defaults"] else 1) == 0
    ]
    assert sorted(still) == HEADS


@pytest.mark.parametrize("name", HEADS)
def test_a_head_is_saved_loaded_and_predicted_with(name: str, watched: WatchedTrainings) -> None:
    values = {field.name: getattr(strategy(name), field.name) for field in _fields()}
    found = watched.run(transfer=values)
    assert not watched.calls  # the backbone is not trained, nor run again
    experiment, artifacts = watched.experiment, watched.artifacts
    again = saved(artifacts.model, experiment, watched.run(transfer=values))
    assert saved(artifacts.model, experiment, found) == again  # the same bytes
    weights = found.model.weights
    assert isinstance(weights, StoredBackbone)
    classifier, contract = model_folder.load(artifacts.model)
    state = classifier.state_dict()
    for tensor_name, tensor in weights.head.items():
        np.testing.assert_array_equal(state[tensor_name].numpy(), tensor)
    assert contract.training["trained_share"] == 0

    test = manifest.of_split(manifest.read(artifacts.manifest), "test")
    evaluated = by_features(experiment, artifacts, test)
    photos = [Path(path).read_bytes() for path in test["path"]]
    np.testing.assert_allclose(Predictor(artifacts.model).probabilities(photos), evaluated, 0, 2e-4)
    features = torch.from_numpy(features_of(experiment, artifacts, test))
    with torch.inference_mode():
        logits = classifier.head(features)
    np.testing.assert_allclose(softmax(logits.numpy()), evaluated, atol=1e-4)
    assert (evaluated.argmax(1) == test["label"]).mean() > 0.5  # of three classes
    learnt = found.facts["trainable_parameters"]
    module = model_folder.load(artifacts.model)[0].head
    assert learnt == sum(p.numel() for p in module.parameters())
    assert found.held_out is not None and len(found.held_out[0]) == (_fold(watched) != NEVER).sum()
    told = {name.partition("/")[2] for row in found.rows for name in row if name != "epoch"}
    assert told <= found.facts.keys() and "cv_top1" in told


def _fields() -> Any:
    return dataclasses.fields(Transfer)


def _fold(watched: WatchedTrainings) -> np.ndarray:
    from graftwork.selecting.held_out import held_out

    frame = manifest.read(watched.artifacts.manifest)
    rows = held_out(watched.experiment, frame, 3, lambda rows: np.zeros((len(rows), 1)))
    return rows.head_fold


@pytest.mark.parametrize("name", ["class_means", "cosine_means", "linear_svm", "mlp"])
def test_a_head_that_steps_can_train_starts_a_training(
    name: str, watched: WatchedTrainings, tmp_path: Path
) -> None:
    found = watched.run(transfer={"head_init": head_init(name)}, trainer={"refit": "again"})
    start, network = found.start, found.model.weights
    assert start is not None and isinstance(network, Classifier)
    assert start.head == found.model.head
    alone = watched.run(transfer={"head_init": head_init(name), "epochs": 0}).model.weights
    assert isinstance(alone, StoredBackbone)  # the head of all photos, from which training began
    for tensor_name, tensor in start.tensors.items():
        np.testing.assert_array_equal(alone.head[f"head.{tensor_name}"], tensor)
    moved = network.state_dict()
    learnt = [key for key, _ in network.head.named_parameters()]
    assert any((moved[f"head.{key}"].numpy() != start.tensors[key]).any() for key in learnt)
    saved(tmp_path / "model", watched.experiment, found)
    classifier, _ = model_folder.load(tmp_path / "model")
    for tensor_name, tensor in classifier.state_dict().items():
        assert torch.equal(tensor, moved[tensor_name])
    start.write(tmp_path / "start.safetensors")
    assert (FirstHead.read(tmp_path / "start.safetensors") or start).head == start.head
