from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import draw_photo
from tiny_experiment import tiny_experiment, usable

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.data.images import DecodedImages, eval_view
from graftwork.experiment import Experiment
from graftwork.features import feature_store as features
from graftwork.features.engines.choosing import cosine
from graftwork.features.engines.frozen import FrozenNetwork
from graftwork.features.engines.torch_engine import eager_features
from graftwork.features.feature_store import extract, features_of
from graftwork.settings.extraction import Extraction
from graftwork.storage.artifacts import Artifacts

Made = tuple[Experiment, Artifacts]
PHOTOS = 48  # of the tiny folder


@pytest.fixture
def made(tmp_path: Path, tiny_params: Callable[..., dict[str, Any]]) -> Callable[..., Made]:
    def make(*overrides: str) -> Made:
        params = tiny_params("extraction.batch_size=5", *overrides)
        return tiny_experiment(params, tmp_path / "project")

    return make


def live(experiment: Experiment, artifacts: Artifacts) -> np.ndarray:
    """Features of every picture by the eager network."""
    network = FrozenNetwork(experiment, artifacts)
    images = DecodedImages(artifacts, experiment.dataset)
    frame = usable(artifacts)
    pairs = zip(frame["sha256"], frame["path"], strict=True)
    views = [eval_view(images.get(sha256, path), network.input_spec) for sha256, path in pairs]
    return eager_features(network.classifier, np.stack(views))


@pytest.mark.parametrize("engine", ["openvino", "torch"])
@pytest.mark.parametrize("head", ["avg", "flatten"])
def test_stored_features_are_those_of_the_live_network(
    made: Callable[..., Made], engine: str, head: str
) -> None:
    chosen = f"extraction.engine={engine}", "extraction.precision=fp32", f"model.pooling={head}"
    experiment, artifacts = made(*chosen)
    found = features_of(experiment, artifacts, usable(artifacts))
    expected = live(experiment, artifacts)
    assert found.dtype == np.float32 and found.shape == expected.shape
    assert cosine(found, expected).min() > 0.999999
    assert np.allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_the_receipt_counts_what_was_run(made: Callable[..., Made]) -> None:
    first, second = extract(*made()), extract(*made())
    assert (first["count"], first["extracted"]) == (PHOTOS, PHOTOS)
    assert first["images_per_second"] > 0 and first["num_features"] == 64
    assert first["engine"] == "openvino" and first["cosine"] > 0.998
    assert (second["count"], second["extracted"], second["images_per_second"]) == (PHOTOS, 0, None)
    assert second["key"] == first["key"]


def test_an_added_picture_is_the_only_one_that_is_run(
    made: Callable[..., Made], tiny_folder: Path
) -> None:
    experiment, artifacts = made()
    before = features_of(experiment, artifacts, usable(artifacts))
    hashes = list(usable(artifacts)["sha256"])
    draw_photo(tiny_folder / "train" / "red" / "new.jpg", (200, 40, 50), seed=99)
    receipt = extract(*made())
    assert (receipt["count"], receipt["extracted"]) == (PHOTOS + 1, 1)
    after = usable(artifacts)
    rows = features_of(experiment, artifacts, after)[after["sha256"].isin(hashes)]
    assert np.array_equal(rows, before), "the others are bit-identical"


def test_features_do_not_depend_on_who_else_is_run(made: Callable[..., Made]) -> None:
    experiment, artifacts = made()
    frame = usable(artifacts)
    together = features_of(experiment, artifacts, frame)
    shutil.rmtree(artifacts.features)
    backwards = features_of(experiment, artifacts, frame[::-1])
    assert np.array_equal(backwards[::-1], together)
    shutil.rmtree(artifacts.features)
    alone = [features_of(experiment, artifacts, frame[n : n + 1])[0] for n in range(0, 48, 9)]
    assert np.array_equal(np.stack(alone), together[::9])


def test_duplicates_are_run_once(made: Callable[..., Made]) -> None:
    experiment, artifacts = made()
    frame = usable(artifacts).iloc[[3, 4, 3, 3]]
    found = features_of(experiment, artifacts, frame)
    assert np.array_equal(found[0], found[2]) and not np.array_equal(found[0], found[1])
    assert extract(experiment, artifacts)["extracted"] == PHOTOS - 2


def test_another_process_may_have_been_quicker(
    made: Callable[..., Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    from graftwork.storage.array_store import ArrayStore

    experiment, artifacts = made()
    features_of(experiment, artifacts, usable(artifacts))
    answers = iter([["something"], []])  # before and after waiting for the other
    monkeypatch.setattr(ArrayStore, "missing", lambda *_, **__: next(answers))
    monkeypatch.setattr(features, "_run", None)  # would fail
    assert extract(experiment, artifacts)["extracted"] == 0


def test_random_backbones_are_told_apart_by_their_seed(made: Callable[..., Made]) -> None:
    first, second = extract(*made("seed=1")), extract(*made("seed=2"))
    assert first["key"] != second["key"] and second["extracted"] == PHOTOS
    assert extract(*made("seed=1"))["extracted"] == 0


def test_no_pictures_no_rows(made: Callable[..., Made]) -> None:
    experiment, artifacts = made()
    assert features_of(experiment, artifacts, usable(artifacts)[:0]).shape == (0, 64)


WARM = """
import sys
from graftwork.features import feature_store as features
from graftwork.data import manifest
from graftwork.storage.artifacts import Artifacts
from graftwork.experiment import Experiment
artifacts = Artifacts.at(sys.argv[1])
experiment = Experiment.from_file(artifacts.params)
frame = manifest.usable(manifest.read(artifacts.manifest))
found = features.features_of(experiment, artifacts, frame)
assert found.shape == (48, 64)
print(*sorted({"torch", "timm", "openvino"} & set(sys.modules)))
"""


def warm(artifacts: Artifacts) -> str:
    command = [sys.executable, "-c", WARM, str(artifacts.root)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_warm_path_imports_neither_torch_nor_timm(made: Callable[..., Made]) -> None:
    experiment, artifacts = made("extraction.engine=openvino")
    extract(experiment, artifacts)
    assert warm(artifacts) == ""
    shutil.rmtree(artifacts.features)
    assert warm(artifacts) == "openvino"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("extraction.engine=opnvino", "extraction.engine: 'opnvino' is unknown. Did you mean"),
        ("extraction.precision=fp16", "extraction.precision"),
        ("extraction.batch_size=0", "extraction.batch_size: 0 is out of bounds"),
        ("extraction.min_cosine=1.1", "extraction.min_cosine"),
    ],
)
def test_wrong_settings_are_refused(
    tiny_params: Callable[..., dict[str, Any]], override: str, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        build(tiny_params(override)["extraction"], Extraction, "extraction")


def test_strategies_say_whether_they_need_features(
    tiny_params: Callable[..., dict[str, Any]],
) -> None:
    assert not features.needed(Experiment.from_params(tiny_params()))
    probe = tiny_params("transfer=linear_probe", "transfer/start=random")
    assert features.needed(Experiment.from_params(probe))
