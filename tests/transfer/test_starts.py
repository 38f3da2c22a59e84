"""Where a backbone's first weights come from."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tiny_transfer import save_weights

from attacks.attack import CANARY, Payload
from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.features.engines import backbone, keys
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import sha256_of

Params = Callable[..., dict[str, Any]]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    save_weights(tmp_path / "w.pth", seed=3)
    return tmp_path / "w.pth"


def starting(params: Params, path: Path, *overrides: str) -> Experiment:
    chosen = ("transfer/start=local_file", f"transfer.start.path={path}", *overrides)
    return Experiment.from_params(params("transfer=linear_probe", *chosen))


def test_a_file_of_ones_own_fills_the_network(
    weights: Path, tiny_params: Params, tmp_path: Path
) -> None:
    state = torch.load(weights, weights_only=True)
    save_file(state, tmp_path / "w.safetensors")
    for path in (weights, tmp_path / "w.safetensors"):
        experiment = starting(tiny_params, path, "transfer.start.licence=MIT")
        artifacts = Artifacts.at(tmp_path)  # nothing was downloaded
        found = backbone.build(experiment, artifacts).backbone.state_dict()
        assert found and all(torch.equal(found[name], state[name]) for name in found)
        receipt = backbone.receipt(experiment, artifacts)
        assert receipt == {
            "file": path.name, "sha256": sha256_of(path), "origin": str(path),
            "pretrained_on": "unknown", "licence": "MIT",
        }  # fmt: skip


def test_another_start_is_another_network_by_content_alone(
    weights: Path, tiny_params: Params, tmp_path: Path
) -> None:
    artifacts = Artifacts.at(tmp_path)

    def key(experiment: Experiment) -> str:
        return keys.network_key(experiment, artifacts)

    first = key(starting(tiny_params, weights))
    assert key(starting(tiny_params, weights, "seed=5")) == first
    (tmp_path / "elsewhere.pth").write_bytes(weights.read_bytes())
    assert key(starting(tiny_params, tmp_path / "elsewhere.pth")) == first
    assert key(starting(tiny_params, weights, "transfer.start.key_map=by_position")) != first
    assert key(Experiment.from_params(tiny_params())) != first  # random
    save_weights(weights, seed=4)  # under the same path
    assert key(starting(tiny_params, weights)) != first


def test_a_file_that_does_not_fit_says_where(
    weights: Path, tiny_params: Params, tmp_path: Path
) -> None:
    state = torch.load(weights, weights_only=True)
    name = next(iter(state))
    torch.save({f"module.{key}": value for key, value in state.items()}, weights)
    with pytest.raises(UserError, match=r"^transfer\.start: w\.pth does not fit.*missing: .*"):
        backbone.build(starting(tiny_params, weights), Artifacts.at(tmp_path))
    torch.save(state | {name: torch.zeros(1)}, weights)
    with pytest.raises(UserError, match=f"of another shape: {name}"):
        backbone.build(starting(tiny_params, weights), Artifacts.at(tmp_path))


def test_nothing_in_a_file_is_run(
    weights: Path, tiny_params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CANARY, str(tmp_path / "canary"))
    for content in (pickle.dumps(Payload(), protocol=2), b"no weights"):
        weights.write_bytes(content)
        with pytest.raises(UserError, match=r"transfer\.start: .* cannot be read as weights"):
            backbone.build(starting(tiny_params, weights), Artifacts.at(tmp_path))
    torch.save({"a": Payload()}, weights)
    with pytest.raises(UserError, match="cannot be read as weights"):
        backbone.build(starting(tiny_params, weights), Artifacts.at(tmp_path))
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("transfer.start.path=/nowhere/w.pth", "no such file: /nowhere/w.pth"),
        ("transfer.start.path=w.onnx", r"path: the file's ending: '.onnx'.*\.safetensors"),
        ("transfer.start.key_map=by_nme", "Did you mean 'by_name'"),
    ],
)
def test_what_cannot_be_a_start_is_refused_at_once(
    change: str, said: str, weights: Path, tiny_params: Params
) -> None:
    with pytest.raises(UserError, match=rf"transfer\.start.*{said}"):
        starting(tiny_params, weights, change)


def test_a_file_close_by_is_offered(weights: Path, tiny_params: Params) -> None:
    with pytest.raises(UserError, match=r"Near it: w\.pth"):
        starting(tiny_params, weights.with_name("ww.pth"))
