"""Two hops: a run's backbone is where the next run starts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from tiny_experiment import tiny_experiment

from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.features.engines import backbone, keys
from graftwork.model_folder import contents as model_folder
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import seal
from pipelines import download, extract_features, finetune

Params = Callable[..., dict[str, Any]]
CHEAP = ("selection=random", "extraction.engine=torch", "extraction.precision=fp32")
HOP = ("transfer=two_hop", "trainer=smoke", *CHEAP)


def hop(root: Path, params: dict[str, Any]) -> Artifacts:
    """The stages up to the model folder, in a folder of their own, on one store."""
    experiment, artifacts = tiny_experiment(params, root, shared=root.parent)
    extract_features.run(experiment, artifacts)
    finetune.run(experiment, artifacts)
    return artifacts


@pytest.fixture
def first(tmp_path: Path, tiny_params: Params) -> Artifacts:
    return hop(tmp_path / "first", tiny_params(*CHEAP))


def tensors(artifacts: Artifacts) -> dict[str, np.ndarray]:
    return model_folder.read_tensors(artifacts.model, model_folder.read_contract(artifacts.model))


def test_a_second_hop_starts_from_the_first_and_says_so(
    first: Artifacts, tmp_path: Path, tiny_params: Params
) -> None:
    one = model_folder.read_contract(first.model)
    params = tiny_params(*HOP, f"transfer.start.path={first.root}")
    second = hop(tmp_path / "second", params)
    two = model_folder.read_contract(second.model)
    assert two.pretrained == {
        "file": "backbone.safetensors",
        "sha256": one.weights_sha256["backbone.safetensors"],
        "origin": str(first.root),
        "strategy": "from_scratch",
        "seed": 0,
        "data_digest": one.data_digest,
        "classes": ["blue", "green", "red"],
        "earlier": [],
    }
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    tags = client.get_run(json.loads(second.run.read_text())["run_id"]).data.tags
    assert tags["start.strategy"] == "from_scratch" and "start.earlier" not in tags
    assert tags["start.data_digest"] == one.data_digest
    assert tags["weights.sha256"] == one.weights_sha256["backbone.safetensors"]

    experiment = Experiment.from_params(params)
    begun = backbone.build(experiment, second).backbone.state_dict()
    for name, tensor in tensors(first).items():
        if name.startswith("backbone."):
            np.testing.assert_array_equal(begun[name.removeprefix("backbone.")], tensor)
    keyed = {keys.network_key(Experiment.from_params(p), second) for p in (params, tiny_params())}
    assert len(keyed) == 2, "features of a trained backbone are not those of the random one"

    again = hop(tmp_path / "again", params)
    for name, tensor in tensors(second).items():
        np.testing.assert_array_equal(tensors(again)[name], tensor, err_msg=name)

    third = tiny_params(*HOP, f"transfer.start.path={second.model}")
    receipt = backbone.receipt(Experiment.from_params(third), second)
    assert receipt is not None and receipt["strategy"] == "two_hop"
    (earlier,) = receipt["earlier"]
    assert earlier == {name: two.pretrained[name] for name in earlier} and len(earlier) == 6


def test_the_same_weights_are_the_same_network_wherever_they_lie(
    first: Artifacts, tmp_path: Path, tiny_params: Params
) -> None:
    shutil.copytree(first.model, tmp_path / "copy")
    run = "0123456789abcdef" * 2
    shutil.copytree(first.model, first.weights("tiny_cnn") / "runs" / run)
    starts = [
        ("transfer/start=earlier_run", f"transfer.start.path={first.model}"),
        ("transfer/start=earlier_run", f"transfer.start.path={tmp_path / 'copy'}"),
        ("transfer/start=recorded_run", f"transfer.start.run={run}"),
    ]
    found = [Experiment.from_params(tiny_params(*HOP, *chosen)) for chosen in starts]
    assert len({keys.network_key(experiment, first) for experiment in found}) == 1
    receipt = backbone.receipt(found[2], first)
    assert receipt is not None and receipt["origin"] == f"run:{run}"


def refused(first: Artifacts, params: Params, *overrides: str) -> str:
    chosen = (*HOP, f"transfer.start.path={first.root}", *overrides)
    with pytest.raises(UserError) as error:
        experiment = Experiment.from_params(params(*chosen))
        backbone.build(experiment, first)
    return str(error.value)


def test_what_cannot_be_a_first_hop_is_refused(
    first: Artifacts, tiny_params: Params, tmp_path: Path
) -> None:
    said = refused(first, tiny_params, f"transfer.start.path={tmp_path / 'frst'}")
    assert "no such folder" in said and "Near it: first" in said
    (tmp_path / "empty").mkdir()
    said = refused(first, tiny_params, f"transfer.start.path={tmp_path / 'empty'}")
    assert "model.json: no such file" in said
    said = refused(first, tiny_params, "transfer.start.path=run:123")
    assert "transfer/start=recorded_run transfer.start.run=123" in said
    said = refused(first, tiny_params, "model.architecture=resnet10t")
    assert "of another network: architecture 'tiny_cnn', here 'resnet10t'" in said
    recorded = ("transfer/start=recorded_run", "transfer.start.run=" + "0" * 32)
    experiment = Experiment.from_params(tiny_params(*HOP, *recorded))
    with pytest.raises(UserError, match="Run the stage download first"):
        backbone.build(experiment, first)


def test_damaged_weights_and_odd_contracts_are_refused(
    first: Artifacts, tiny_params: Params
) -> None:
    path = first.model / "model.json"
    contract = json.loads(path.read_text())
    contract["pretrained"] = {"earlier": "x", "origin": "there", "secret": 1}
    path.write_text(json.dumps(seal(contract)))
    params = tiny_params(*HOP, f"transfer.start.path={first.root}")
    receipt = backbone.receipt(Experiment.from_params(params), first)
    assert receipt is not None and receipt["earlier"] == [{"origin": "there"}]
    file = first.model / "backbone.safetensors"
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert "The file is damaged or" in refused(first, tiny_params)


def test_an_experiment_does_not_start_from_what_it_writes(
    first: Artifacts, tiny_params: Params
) -> None:
    params = tiny_params(*HOP, f"transfer.start.path={first.root}")
    with pytest.raises(UserError, match="is what this experiment writes"):
        download.run(Experiment.from_params(params), first)
