from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import composed

from graftwork.config.components import build
from graftwork.features.engines.choosing import cosine
from graftwork.features.engines.openvino_engine import (
    NETWORK,
    OpenVinoEngine,
    available,
    convert,
    hardware_precision,
)
from graftwork.features.engines.torch_engine import eager_features
from graftwork.models.base import Model
from graftwork.models.network.classifier import Classifier

BATCH = 4


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    torch.manual_seed(0)
    model = build(composed("model=tiny_cnn")["model"], Model, "model")  # type: ignore[type-abstract]
    return model.build(3, None)


@pytest.fixture(scope="module")
def folder(classifier: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("network")
    convert(classifier, BATCH, path)
    return path


def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (BATCH, 32, 32, 3), np.uint8)


def test_it_is_installed_and_knows_the_precision() -> None:
    assert available()
    assert hardware_precision() in ("bf16", "fp32")


@pytest.mark.parametrize(("precision", "least"), [("fp32", 0.999999), ("bf16", 0.999)])
def test_features_are_those_of_the_torch_network(
    classifier: Classifier, folder: Path, precision: str, least: float
) -> None:
    found = OpenVinoEngine(folder, precision)(images())
    assert found.dtype == np.float32
    assert cosine(found, eager_features(classifier, images())).min() > least


def test_conversion_leaves_the_mode(classifier: Classifier, folder: Path) -> None:
    assert classifier.training


def test_the_compiled_network_is_kept(folder: Path) -> None:
    OpenVinoEngine(folder, "fp32")
    assert list((folder / "compiled").glob("*.blob"))


def test_features_do_not_depend_on_the_neighbours(folder: Path) -> None:
    engine, batch = OpenVinoEngine(folder, hardware_precision()), images()
    expected = engine(batch)
    alone = np.zeros_like(batch)
    alone[0] = batch[2]
    assert np.array_equal(engine(alone)[0], expected[2])
    assert np.array_equal(engine(batch[::-1].copy())[::-1], expected)


def test_results_are_copies(folder: Path) -> None:
    engine = OpenVinoEngine(folder, "fp32")
    first = engine(images())
    kept = first.copy()
    engine(np.zeros_like(images()))
    assert np.array_equal(first, kept)


def test_nothing_is_reported_and_nothing_written_to_the_home(folder: Path, tmp_path: Path) -> None:
    """OpenVINO's telemetry keeps an identifier in ~/intel and sends events."""
    code = (
        "import sys; from graftwork.features.engines.openvino_engine import openvino;"
        "openvino(); import openvino.tools.ovc.telemetry_utils as t;"
        "assert t.tm.__name__.endswith('telemetry_stub'), t.tm;"
        "assert not {'torch', 'timm'} & set(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={**os.environ, "HOME": str(tmp_path)}
    )
    assert not list(tmp_path.iterdir())
    assert (folder / NETWORK).is_file()


class SaysHowMany(torch.nn.Module):
    """Its code makes a constant of the number of pictures."""

    def __init__(self, classifier: Classifier, reshapes: bool) -> None:
        super().__init__()
        self.classifier, self.reshapes = classifier, reshapes

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.classifier(pixels)
        count = int(len(pixels))
        if self.reshapes:
            return logits.reshape(count, -1)
        return logits + torch.arange(3 * count).reshape(count, 3) // 3


@pytest.mark.parametrize("reshapes", [True, False])
def test_code_that_depends_on_the_number_of_pictures_is_traced_on_all(
    classifier: Classifier, tmp_path: Path, reshapes: bool
) -> None:
    module = SaysHowMany(classifier.eval(), reshapes)
    convert(classifier, BATCH, tmp_path, module)
    found = OpenVinoEngine(tmp_path, "fp32")(images())
    assert found == pytest.approx(eager_features(classifier, images(), module), abs=1e-4)
    classifier.train()
