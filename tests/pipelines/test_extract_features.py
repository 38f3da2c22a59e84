from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_experiment import tiny_experiment

from graftwork.data import manifest
from pipelines import extract_features
from pipelines.evaluate import TEST


def test_the_receipt_is_written(tmp_path: Path, tiny_params: Callable[..., dict[str, Any]]) -> None:
    params = tiny_params("transfer=linear_probe", "transfer/start=random")
    experiment, artifacts = tiny_experiment(params, tmp_path / "project")
    extract_features.run(experiment, artifacts)
    receipt = json.loads(artifacts.feature_receipt.read_text())
    assert receipt["count"] == receipt["extracted"] == 48
    assert (artifacts.features / receipt["key"]).is_dir()


def test_a_sweep_that_looks_at_the_winners_test_leaves_the_tests_pictures_out(
    tmp_path: Path,
    tiny_params: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    params = tiny_params("transfer=linear_probe", "transfer/start=random", "selection=auto")
    experiment, artifacts = tiny_experiment(params, tmp_path / "project")
    monkeypatch.setenv(TEST, "later")
    extract_features.run(experiment, artifacts)
    frame = manifest.read(artifacts.manifest)
    tested = len(manifest.of_split(frame, "test"))
    receipt = json.loads(artifacts.feature_receipt.read_text())
    assert tested and receipt["count"] == len(manifest.seen(frame)) - tested


def test_a_strategy_that_needs_none_pays_for_none(
    tmp_path: Path, tiny_params: Callable[..., dict[str, Any]]
) -> None:
    experiment, artifacts = tiny_experiment(tiny_params(), tmp_path / "project")
    extract_features.run(experiment, artifacts)
    receipt = json.loads(artifacts.feature_receipt.read_text())
    assert receipt == {"count": 0, "extracted": 0, "why": "from_scratch needs none"}
    assert not artifacts.networks.exists()
