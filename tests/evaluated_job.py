"""A job that is evaluated without its network: what that would answer is given here."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from selection_records import without_parts

from graftwork.data import manifest
from graftwork.evaluating import prediction_table as predictions
from graftwork.evaluating import several_views
from graftwork.experiment import Experiment
from graftwork.model_folder import contents as model_folder
from graftwork.models.network.tensors import part
from graftwork.recording import opening as tracking
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import sha256_of
from pipelines import download, prepare


class Recorded:
    """Stands for the MLflow run: remembers what it was given."""

    run_id = "0123"

    def __init__(self) -> None:
        self.metrics: dict[str, float] = {}
        self.tags: dict[str, str] = {}
        self.step: int | None = None
        self.cost: dict[str, Any] = {}
        self.artifacts: list[tuple[str, str]] = []
        self.model: tuple[Path, bytes] | None = None
        self.ended = False

    def log_metrics(self, values: dict[str, float], step: int = 0) -> None:
        self.metrics |= values
        self.step = step

    def set_tags(self, tags: dict[str, str]) -> None:
        self.tags |= tags

    def at_once(self) -> AbstractContextManager[None]:
        return nullcontext()

    def log_cost(self, cost: dict[str, Any]) -> None:
        self.cost = cost

    def log_artifacts(self, path: Path, folder: str = "") -> None:
        assert path.exists()
        self.artifacts.append((path.name, folder))

    def log_model(self, model: Path, example: bytes) -> None:
        self.model = (model, example)

    def __enter__(self) -> Recorded:
        return self

    def __exit__(self, *_: object) -> None:
        self.ended = True


class Network:
    """Stands for the trained network: wrong in four, and in further views as a test says."""

    entry = {
        **{"engine": "openvino", "precision": "bf16", "cosine": 1.0, "lowest_cosine": 0.5},
        **{"pictures": 15, "differing": 2, "tie": 0.25, "asked_again": 3},
    }

    def __init__(self, *_: object) -> None:
        pass

    def probabilities(self, frame: Any, view: Any = None) -> np.ndarray:
        return wrong_in_four(frame) if view is None else self.of_view(frame)

    def of_view(self, frame: Any) -> np.ndarray:
        """Everything is right, of the first two for sure."""
        right = np.eye(3)[frame["label"].to_numpy()]
        sure = np.where(np.arange(len(frame)) < 2, 1.0, 0.5)[:, None]
        return sure * right + (1 - sure) / 3


def wrong_in_four(frame: Any) -> np.ndarray:
    """Right but for the first four pictures, which are taken for the next class."""
    labels = frame["label"].to_numpy()
    predicted = np.where(np.arange(len(frame)) < 4, (labels + 1) % 3, labels)
    return np.full((len(frame), 3), 0.1, np.float32) + 0.7 * np.eye(3, dtype=np.float32)[predicted]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    run = Recorded()
    monkeypatch.setattr(tracking, "open_run", lambda experiment, artifacts: run)
    return run


@pytest.fixture
def job(
    tmp_path: Path, tiny_params: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """`job(*overrides)`: prepared, with a model whose probabilities are given here."""

    def make(*overrides: str) -> tuple[Experiment, Artifacts]:
        from safetensors.numpy import save_file

        artifacts = Artifacts.at(tmp_path / "job", tmp_path)
        artifacts.root.mkdir()
        params = tiny_params("evaluation.mistakes=3", *overrides)
        artifacts.params.write_text(yaml.safe_dump(params))
        experiment = Experiment.from_params(params)
        download.run(experiment, artifacts)
        prepare.run(experiment, artifacts)
        artifacts.model.mkdir()
        tensors = {"head.weight": (3, 64), "head.bias": (3,), "backbone.bn.running_mean": (8,)}
        arrays = {name: np.zeros(shape, np.float32) for name, shape in tensors.items()}
        for name in ("backbone", "head"):
            save_file(part(arrays, f"{name}."), artifacts.model / f"{name}.safetensors")
        contract = {
            "format": model_folder.FORMAT,
            "architecture": {},
            "classes": ["blue", "green", "red"],
            "input_spec": {
                "size": 8, "mean": [0], "std": [1], "interpolation": "bilinear", "crop_pct": 1,
            },
            "preprocessing": {"decoded_side": 8, "max_pixels": 1},
            "training": {
                "selection": "", "trainable_parameters": 7, "epochs": 2, "trained_share": 1.0,
            },
            "pretrained": None,
            "data_digest": "",
            "weights_sha256": {
                path.name: sha256_of(path) for path in artifacts.model.glob("*.safetensors")
            },
        }  # fmt: skip
        (artifacts.model / "model.json").write_text(json.dumps(contract))
        chose = manifest.of_split(manifest.read(artifacts.manifest), "val")
        words = "the last epoch"
        without_parts(words=words, held_out=9, fitted=24).write(artifacts.selection)
        found = wrong_in_four(chose)
        predictions.write(artifacts.held_out, chose, contract["classes"], found)
        artifacts.history.write_text("epoch,train/loss,val/top1\n1,2.0,0.5\n2,1.0,0.75\n")
        artifacts.cost("prepare").parent.mkdir()
        artifacts.cost("prepare").write_text('{"seconds": 12.5, "peak_mib": 99999.0}')
        monkeypatch.setattr(several_views, "answering", Network)
        return experiment, artifacts

    return make
