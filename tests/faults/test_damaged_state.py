"""Every kind of file that the project writes, damaged in three ways: noticed before it is used.

What can be made again is, with a warning that names the file (none where it is merely gone); the
rest is named with its remedy. Never a traceback, never another number.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from finished_project import DAMAGES, Project, copied, finish, flipped
from tiny_experiment import usable

from graftwork.data.images import DecodedImages
from graftwork.features.feature_store import features_of, frozen_network
from graftwork.profiling.stored import static_costs
from graftwork.selecting.held_out import held_out
from graftwork.selecting.stored_match import stored
from graftwork.storage.files import DamageWarning, sha256_of

Use = Callable[[Project], Any]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return finish(tmp_path_factory.mktemp("finished"))


@pytest.fixture(scope="module")
def known() -> dict[Use, Any]:
    """What each use gives where nothing is damaged."""
    return {}


def features(project: Project) -> np.ndarray:
    return project.features()


def features_run_anew(project: Project) -> np.ndarray:
    for path in project.artifacts.features.glob("*/*.*"):
        path.unlink()
    return project.features()


def decoded(project: Project) -> np.ndarray:
    images = DecodedImages(project.artifacts, project.experiment.dataset)
    frame = usable(project.artifacts)
    pairs = zip(frame["sha256"], frame["path"], strict=True)
    return np.concatenate([images.get(*pair).ravel() for pair in pairs])


def backbone(project: Project) -> str:
    return sha256_of(frozen_network(project.experiment, project.artifacts).tensors)


def fold(project: Project) -> np.ndarray:
    experiment, artifacts = project.experiment, project.artifacts
    look = lambda rows: features_of(experiment, artifacts, rows)  # noqa: E731
    found = held_out(experiment, usable(artifacts), 3, look, stored(artifacts.folds))
    return found.head_fold


def profile(project: Project) -> dict[str, Any]:
    return static_costs(project.experiment.model, 3, project.artifacts)


MADE_AGAIN: dict[str, tuple[str, Use]] = {
    "features": ("store/features/*/*.bin", features),
    "index of features": ("store/features/*/*.parquet", features),
    "decoded pictures": ("store/decoded/*/*.bin", decoded),
    "index of decoded pictures": ("store/decoded/*/*.parquet", decoded),
    "input of a network": ("store/networks/*/input_spec.json", features),
    "its tensors": ("store/networks/*/backbone.safetensors", backbone),
    "its layers": ("store/networks/*/network.xml", features_run_anew),
    "its weights": ("store/networks/*/network.bin", features_run_anew),
    "what these were": ("store/networks/*/network.json", features_run_anew),
    "compiled": ("store/networks/*/compiled/*", features_run_anew),
    "what was compiled": ("store/networks/*/compiled.json", features_run_anew),
    "choice of an engine": ("store/networks/*/verdict-*.json", features),
    "folds": ("store/folds/*.npz", fold),
    "profile": ("store/profiles/*.json", profile),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", MADE_AGAIN)
def test_what_can_be_made_again_is(
    finished: Project, known: dict[Use, Any], tmp_path: Path, kind: str, damage: str
) -> None:
    pattern, use = MADE_AGAIN[kind]
    if use not in known:
        known[use] = use(copied(finished, tmp_path / "whole", "mlartifacts"))
    expected = known[use]
    project = copied(finished, tmp_path / "damaged", "mlartifacts")
    path = sorted(project.artifacts.root.glob(pattern))[0]
    DAMAGES[damage](path)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = use(project)
    np.testing.assert_equal(found, expected)
    names = [str(entry.message) for entry in told if entry.category is DamageWarning]
    assert damage == "deleted" or any(path.stem in name for name in names), names
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it has been mended: nothing is told a second time
        if "decoded" not in kind:  # that is for `prepare`
            np.testing.assert_equal(use(project), expected)


def test_a_damaged_picture_is_stored_again_by_the_next_prepare(
    finished: Project, tmp_path: Path
) -> None:
    from pipelines import prepare

    project = copied(finished, tmp_path / "damaged", "mlartifacts")
    expected = decoded(project)
    flipped(next(project.artifacts.decoded.glob("*/*.bin")))
    with pytest.warns(DamageWarning):
        np.testing.assert_equal(decoded(project), expected)
    with pytest.warns(DamageWarning):
        prepare.run(project.experiment, project.artifacts)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_equal(decoded(project), expected)


def test_a_store_that_lacks_nothing_is_not_written_to(finished: Project, tmp_path: Path) -> None:
    from pipelines import prepare

    project = copied(finished, tmp_path / "warm", "mlartifacts", ".lock")
    prepare.run(project.experiment, project.artifacts)
    assert not list(project.artifacts.store.glob("decoded/*/.lock")), "it may be read-only"
