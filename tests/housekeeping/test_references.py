"""What recorded runs refer to, on a store that a real experiment filled."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tiny_experiment import local_weights, tiny_experiment

from graftwork.experiment import Experiment
from graftwork.features import feature_store as features
from graftwork.features.engines import keys
from graftwork.housekeeping.command import Wanted, prune
from graftwork.housekeeping.contents import pieces
from graftwork.housekeeping.pruning import chosen
from graftwork.housekeeping.references import References
from graftwork.recording.opening import open_run
from graftwork.storage.array_store import ArrayStore
from graftwork.storage.artifacts import Artifacts

ENGINE = ("extraction.engine=torch", "extraction.precision=fp32")  # starts at once


@pytest.fixture
def project(tmp_path: Path, tiny_params: Callable[..., dict[str, Any]]) -> Path:
    """Features of one network, for which a run is recorded, and of another, for which none is."""
    root = tmp_path / "project"
    experiment, artifacts = tiny_experiment(tiny_params(*ENGINE), root)
    for seed in (0, 1):
        features.extract(replace(experiment, seed=seed), artifacts)
        network = keys.network_key(replace(experiment, seed=seed), artifacts)
        maps = ArrayStore(artifacts.prefixes / f"{network}-{'c' * 32}", "int16")
        maps.append([("a view", np.zeros(3, np.int16))])
        (artifacts.networks / f"{network}-{'d' * 32}").mkdir()
    for sha256 in ("a" * 64, "b" * 64):
        (artifacts.downloads / sha256).mkdir(parents=True)
        (artifacts.downloads / sha256 / "file").write_bytes(b"content")
    with open_run(experiment, artifacts) as run:
        run.set_tags({"weights.sha256": "a" * 64})
    artifacts.params.unlink()  # the project is about to do something else
    return root


def key(root: Path, seed: int, params: dict[str, Any]) -> str:
    return keys.network_key(replace(Experiment.from_params(params), seed=seed), Artifacts.at(root))


def test_what_a_run_would_use_again_stays(
    project: Path,
    tiny_params: Callable[..., dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = Artifacts.at(project).store
    assert {piece.kind for piece in pieces(store)} >= {"decoded", "features", "networks"}
    prune(project, Wanted(None, None, True), really=True)
    left = pieces(store)
    network = key(project, 0, tiny_params(*ENGINE))
    prefix = f"{network}-{'d' * 32}"
    assert [piece.key for piece in left if piece.kind == "networks"] == [network, prefix]
    assert sum(piece.kind == "features" for piece in left) == 1
    assert sum(piece.kind == "prefixes" for piece in left) == 1
    assert [piece.key for piece in left if piece.kind == "downloads"] == ["a" * 64]
    assert any(piece.kind == "decoded" for piece in left)
    assert "5 removed" in capsys.readouterr().out


def test_what_the_project_is_set_to_do_stays_too(
    project: Path, tiny_params: Callable[..., dict[str, Any]]
) -> None:
    (project / "params.yaml").write_text(yaml.safe_dump(tiny_params("seed=1", *ENGINE)))
    references = References(project)
    unused = [piece for piece in pieces(project / "store") if not references.hold(piece)]
    assert [piece.key for piece in unused] == ["b" * 64]


def test_it_narrows_age_and_size(project: Path) -> None:
    references = References(project)
    found, now = pieces(project / "store"), time.time()
    assert chosen(found, now, 3600, None, references.hold) == []
    gone = chosen(found, now, None, 0, references.hold)
    assert len(gone) == 5 and len(chosen(found, now, None, 0)) == len(found)


def test_what_computes_otherwise_now_is_of_no_use(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "FEATURES", keys.FEATURES + 1)
    references = References(project)
    kinds = {piece.kind for piece in pieces(project / "store") if references.hold(piece)}
    assert kinds == {"decoded", "downloads"}


def test_a_run_of_another_version_is_counted(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (recorded,) = project.glob("mlartifacts/*/artifacts/params.yaml")
    recorded.write_text("model: {name: of another version}\n")
    assert References(project).unread == 1
    shutil.rmtree(recorded.parent)
    assert References(project).unread == 1
    prune(project, Wanted(None, None, True), really=False)
    assert "being of another version: 1 runs" in capsys.readouterr().out


def test_files_that_a_configuration_pins_stay(
    project: Path, tmp_path: Path, tiny_params: Callable[..., dict[str, Any]]
) -> None:
    file = tmp_path / "weights.bin"
    file.write_bytes(b"weights")
    pinned = local_weights(file)
    params = tiny_params(*ENGINE)
    params["model"]["weights"] = pinned
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    shelf = project / "store" / "downloads" / pinned["source"]["sha256"]
    shelf.mkdir()
    (shelf / "weights.bin").write_bytes(b"weights")
    held = [piece for piece in pieces(project / "store") if References(project).hold(piece)]
    assert pinned["source"]["sha256"] in {piece.key for piece in held}
