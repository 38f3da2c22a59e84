import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import composed

from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.models.pretrained import weights_receipt
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import DamageWarning
from pipelines.download import run

WEIGHTS = b"weights"


@pytest.fixture
def pinned(tiny_params: Callable[..., Any], tmp_path: Path) -> dict[str, Any]:
    """The tiny experiment with a pretrained file of its own."""
    (tmp_path / "w.pth").write_bytes(WEIGHTS)
    params = tiny_params()
    params["model"]["weights"] = {
        "source": {
            "_target_": "graftwork.data.sources.file.LocalFile",
            "path": str(tmp_path / "w.pth"),
            "size": len(WEIGHTS),
            "sha256": hashlib.sha256(WEIGHTS).hexdigest(),
        },
        "key_map": "by_name",
        "pretrained_on": "ImageNet-1k",
        "licence": "MIT",
    }
    params["transfer"]["start"] = composed("transfer/start=registry")["transfer"]["start"]
    return params


def downloaded(params: dict[str, Any], root: Path) -> tuple[Artifacts, Path]:
    experiment, artifacts = Experiment.from_params(params), Artifacts.at(root / "job", root)
    run(experiment, artifacts)
    return artifacts, artifacts.weights(experiment.model.name)


def test_receipts_of_data_and_weights(pinned: dict[str, Any], tmp_path: Path) -> None:
    artifacts, folder = downloaded(pinned, tmp_path)
    assert json.loads((artifacts.raw("folder") / "source.json").read_text())["pictures"] == 48
    assert (folder / "w.pth").read_bytes() == WEIGHTS
    assert weights_receipt(folder) == {
        "file": "w.pth",
        "sha256": hashlib.sha256(WEIGHTS).hexdigest(),
        "origin": str(tmp_path / "w.pth"),
        "pretrained_on": "ImageNet-1k",
        "licence": "MIT",
    }


def test_what_is_there_is_left_alone(pinned: dict[str, Any], tmp_path: Path) -> None:
    _, folder = downloaded(pinned, tmp_path)
    (tmp_path / "w.pth").unlink()  # cannot be fetched again
    downloaded(pinned, tmp_path)
    (folder / "w.pth").write_bytes(b"wei9hts")  # damaged: it must be
    with (
        pytest.warns(DamageWarning, match="brought again"),
        pytest.raises(UserError, match="no such file"),
    ):
        downloaded(pinned, tmp_path)


def test_a_random_start_fetches_nothing_and_removes_nothing(
    pinned: dict[str, Any], tmp_path: Path
) -> None:
    start = composed("transfer/start=random")["transfer"]["start"]
    random = pinned | {"transfer": pinned["transfer"] | {"start": start}}
    _, folder = downloaded(random, tmp_path)
    assert weights_receipt(folder)["file"] is None and not (folder / "w.pth").exists()
    downloaded(pinned, tmp_path)
    assert weights_receipt(folder)["file"] == "w.pth"
    downloaded(random, tmp_path)
    assert weights_receipt(folder)["file"] == "w.pth"


def test_a_model_without_weights_has_a_receipt_too(
    tiny_params: Callable[..., Any], tmp_path: Path
) -> None:
    _, folder = downloaded(tiny_params(), tmp_path)
    assert weights_receipt(folder) == {"file": None}


def test_before_the_download_the_remedy_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Run the stage download first"):
        weights_receipt(tmp_path)
