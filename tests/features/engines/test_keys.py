from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_experiment import local_weights

from graftwork.experiment import Experiment
from graftwork.features.engines import keys
from graftwork.models.pretrained import bring_weights
from graftwork.models.timm_model import TimmModel
from graftwork.storage.artifacts import Artifacts


@pytest.fixture
def key(tmp_path: Path, tiny_params: Callable[..., dict[str, Any]]) -> Callable[..., str]:
    """`key(*overrides)`: the network key of that configuration."""

    def network_key(*overrides: str) -> str:
        experiment = Experiment.from_params(tiny_params(*overrides))
        return keys.network_key(experiment, Artifacts.at(tmp_path))

    return network_key


def test_the_same_network_has_the_same_key_whatever_trains_on_it(key: Callable[..., str]) -> None:
    expected = key()
    for irrelevant in (
        "model/head=mlp",
        "transfer.objective.label_smoothing=0.2",
        "extraction.engine=torch",
        "extraction.min_cosine=0.5",
        "dataset.decoded_side=64",
    ):
        assert key(irrelevant) == expected, irrelevant


def test_another_network_has_another_key(key: Callable[..., str]) -> None:
    variants = (
        *("model.pooling=max", "model.input_size=48", "extraction.batch_size=3", "seed=1"),
        "model.architecture=resnet10t",
    )
    found = [key(), *(key(variant) for variant in variants)]
    assert len(set(found)) == len(found)


def test_versions_of_libraries_and_of_what_computes_are_part_of_it(
    key: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = key()
    with monkeypatch.context() as changed:
        changed.setattr(keys, "releases", lambda *names: {name: "0" for name in names})
        assert key() != before
    with monkeypatch.context() as changed:
        changed.setattr(keys, "FEATURES", keys.FEATURES + 1)
        assert key() != before
    with monkeypatch.context() as changed:
        changed.setattr(TimmModel, "version", "2")
        assert key() != before
    assert key() == before


def test_pretrained_weights_count_by_content_not_by_seed(
    tmp_path: Path, tiny_params: Callable[..., dict[str, Any]]
) -> None:
    from graftwork.models.backbones import register
    from graftwork.process.vision import timm

    register()

    def key(seed: int, content: int) -> str:
        torch.manual_seed(content)
        path = tmp_path / f"{content}.pth"
        torch.save(timm.create_model("tiny_cnn").state_dict(), path)
        params = tiny_params("transfer=fine_tune", f"seed={seed}")
        params["model"]["weights"] = local_weights(path)
        experiment, artifacts = Experiment.from_params(params), Artifacts.at(tmp_path)
        bring_weights(
            experiment.model, artifacts.weights("tiny_cnn"), artifacts.downloads, wanted=True
        )
        return keys.network_key(experiment, artifacts)

    assert key(0, 0) == key(1, 0) != key(0, 1)


def test_features_are_told_apart_by_how_they_were_made(
    tiny_params: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = Experiment.from_params(tiny_params())
    smaller = replace(experiment, dataset=replace(experiment.dataset, decoded_side=64))
    found = {
        keys.feature_key("a", "openvino", "bf16", experiment),
        keys.feature_key("b", "openvino", "bf16", experiment),
        keys.feature_key("a", "torch", "bf16", experiment),
        keys.feature_key("a", "openvino", "fp32", experiment),
        keys.feature_key("a", "openvino", "bf16", smaller),
    }
    for what in ("POLICY", "VIEW"):
        with monkeypatch.context() as changed:
            changed.setattr(keys, what, 100)
            found.add(keys.feature_key("a", "openvino", "bf16", experiment))
    assert len(found) == 7


def test_a_verdict_belongs_to_the_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    here = keys.verdict_key("auto", "auto", 0.998)
    assert keys.verdict_key("auto", "auto", 0.998) == here
    monkeypatch.setattr(keys, "hardware", lambda: ("another machine",))
    assert keys.verdict_key("auto", "auto", 0.998) != here


def test_hardware_is_known_without_libraries() -> None:
    assert any(keys.hardware())
