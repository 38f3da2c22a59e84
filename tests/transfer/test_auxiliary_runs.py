"""Auxiliary classifiers in whole runs: what is left of them in the model folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import composed
from tiny_experiment import tiny_experiment

from graftwork.config.components import build
from graftwork.features.engines.keys import network_key
from graftwork.model_folder import contents as model_folder
from graftwork.models.base import Model
from graftwork.models.network.classifier import Classifier
from graftwork.serving.predictor import Predictor

Params = Callable[..., dict[str, Any]]


def network(*overrides: str) -> Classifier:
    model = build(composed("model=googlenet", *overrides)["model"], Model, "model")  # type: ignore[type-abstract]
    return model.build(3, None)


def trained_folder(params: dict[str, Any], root: Path) -> Path:
    from pipelines import finetune

    experiment, artifacts = tiny_experiment(params, root)
    finetune.run(experiment, artifacts)
    return artifacts.model


def tensors_in(folder: Path) -> dict[str, Any]:
    return model_folder.read_tensors(folder, model_folder.read_contract(folder))


def test_nothing_of_them_is_kept(tiny_params: Params, tmp_path: Path) -> None:
    common = ("model=googlenet", "model.weights=null", "model.input_size=32")
    params = tiny_params(*common, "trainer.precision=fp32", "tracking.log_model=false")
    folders = [trained_folder(params, tmp_path / name) for name in ("a", "b")]
    hashes = [model_folder.read_contract(folder).weights_sha256 for folder in folders]
    assert hashes[0] == hashes[1], "the same seed gives the same bits"
    tensors = tensors_in(folders[0])
    assert set(tensors) == set(network().state_dict())
    training = json.loads((folders[0] / "model.json").read_text())["training"]
    kept = sum(p.numel() for p in network().parameters())
    assert training["trainable_parameters"] == kept
    # each: a 1x1 convolution to 128, its BatchNorm, 2048 to 1024, 1024 to 3 classes
    heads = (width * 128 + 2 * 128 + 2049 * 1024 + 1025 * 3 for width in (512, 528))
    assert training["penalty_parameters"] == sum(heads)

    plain = network("model.auxiliary_weight=0", "model.input_size=32").eval()
    plain.load_state_dict({name: torch.from_numpy(array) for name, array in tensors.items()})
    picture = next((tmp_path / "photos" / "test" / "red").glob("*.jpg")).read_bytes()
    predictor = Predictor(folders[0])
    with torch.no_grad():
        view = torch.from_numpy(predictor._view(picture, 0))[None]
        expected = plain(plain.normalise(view)).softmax(1).numpy()
    np.testing.assert_allclose(predictor.probabilities([picture]), expected, atol=1e-6)


def test_weights_are_kept_part_of_the_way(tiny_params: Params, tmp_path: Path) -> None:
    common = ("model=googlenet", "model.weights=null", "model.input_size=32")
    frozen = ("transfer.batch_norm=frozen", "transfer.average.trained_shares=[0.5]")
    params = tiny_params(*common, *frozen, "tracking.log_model=false")
    tensors = tensors_in(trained_folder(params, tmp_path / "project"))
    assert set(tensors) == set(network().state_dict())


def test_stored_features_do_not_depend_on_them(tiny_params: Params, tmp_path: Path) -> None:
    common = ("model=googlenet", "model.weights=null", "model.input_size=32")
    keys = {
        network_key(*tiny_experiment(tiny_params(*common, *more), tmp_path / str(index)))
        for index, more in enumerate([(), ("model.auxiliary_weight=0",)])
    }
    assert len(keys) == 1


@pytest.mark.slow
def test_two_processes_train_with_them(tiny_params: Params, tmp_path: Path) -> None:
    common = ("model=googlenet", "model.weights=null", "model.input_size=32")
    params = tiny_params(*common, "trainer.processes=2", "trainer.batch_size=6")
    folder = trained_folder(params, tmp_path / "project")
    assert not [name for name in tensors_in(folder) if "auxiliary" in name]
