from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from tiny_experiment import tiny_experiment

from graftwork.config.errors import UserError
from graftwork.features.engines import frozen, openvino_engine, torch_engine
from graftwork.features.engines.choosing import EngineWarning, cosine
from graftwork.features.engines.frozen import FrozenNetwork
from graftwork.storage.files import SEAL, DamageWarning, sha256_of

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)


@pytest.fixture
def network(
    tmp_path: Path, tiny_params: Callable[..., dict[str, Any]]
) -> Callable[..., FrozenNetwork]:
    def make(*overrides: str) -> FrozenNetwork:
        params = tiny_params("extraction.batch_size=4", *overrides)
        return FrozenNetwork(*tiny_experiment(params, tmp_path / "project"))

    return make


def fail(*_: object) -> Any:
    raise RuntimeError("no such\noperation")


def test_the_folder_holds_what_the_warm_path_reads(network: Callable[..., FrozenNetwork]) -> None:
    made = network()
    assert (made.input_spec.size, made.num_features) == (32, 64)
    assert made.input_spec == made.classifier.input_spec
    state = made.classifier.backbone.state_dict()
    tensors = load_file(made.tensors)
    assert set(tensors) == {f"backbone.{name}" for name in state}
    assert np.array_equal(tensors["backbone.stem.conv.weight"], state["stem.conv.weight"].numpy())
    assert made.tensors_sha256 == sha256_of(made.tensors)


def test_an_unfinished_folder_is_made_again(network: Callable[..., FrozenNetwork]) -> None:
    made = network()
    (made.folder / frozen.SPEC).unlink()
    (made.folder / "junk").touch()
    network()
    assert (made.folder / frozen.SPEC).is_file() and not (made.folder / "junk").exists()
    assert not list(made.folder.parent.glob(f".{made.key}*")), "no half-written folder remains"


def test_a_damaged_backbone_is_made_again(network: Callable[..., FrozenNetwork]) -> None:
    made = network()
    whole = made.tensors.read_bytes()
    assert made.tensors.stat().st_mode & 0o777 == 0o444
    assert made.folder.stat().st_mode & 0o777 == made.folder.parent.stat().st_mode & 0o777
    made.tensors.unlink()
    (made.folder / frozen.TENSORS).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.warns(DamageWarning, match="damaged: .* It is made again"):
        assert network().tensors.read_bytes() == whole
    assert network().tensors_sha256 == sha256_of(made.tensors)


def test_the_verdict_is_kept(
    network: Callable[..., FrozenNetwork], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = network()
    assert first.known_verdict() is None
    verdict = first.verdict(IMAGES, 4)
    assert (verdict.engine, verdict.cosine > 0.998) == ("openvino", True)
    monkeypatch.setattr(FrozenNetwork, "_choose", fail)
    assert network().verdict(IMAGES, 4) == verdict
    assert network("extraction.engine=torch").known_verdict() is None


def test_rows_that_only_fill_the_batch_are_not_judged(
    network: Callable[..., FrozenNetwork], monkeypatch: pytest.MonkeyPatch
) -> None:
    class WrongInTheLastRow:
        def __init__(self, classifier: Any, precision: str) -> None:
            self.classifier = classifier

        def __call__(self, images: np.ndarray) -> np.ndarray:
            features = torch_engine.eager_features(self.classifier, images)
            features[-1] = -1
            return features

    monkeypatch.setattr(torch_engine, "TorchEngine", WrongInTheLastRow)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert network("extraction.engine=torch").verdict(IMAGES, 3).lowest_cosine > 0.9999


def test_a_conversion_that_fails_falls_back_to_torch(
    network: Callable[..., FrozenNetwork], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_engine, "convert", fail)
    with pytest.warns(EngineWarning, match="engine openvino in .* failed: no such operation"):
        verdict = network().verdict(IMAGES, 4)
    assert (verdict.engine, verdict.precision) == ("torch", "fp32")


def test_changed_features_fall_back_step_by_step(
    network: Callable[..., FrozenNetwork], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[tuple[str, str]] = []

    def engine(self: FrozenNetwork, name: str, precision: str) -> Any:
        tried.append((name, precision))
        if name == "torch":
            return lambda images: torch_engine.eager_features(self.classifier, images)
        return lambda images: np.ones((len(images), 64), np.float32)

    monkeypatch.setattr(FrozenNetwork, "engine", engine)
    with pytest.warns(EngineWarning, match="changes the features: cosine 0"):
        verdict = network("extraction.precision=bf16").verdict(IMAGES, 4)
    assert tried == [("openvino", "bf16"), ("openvino", "fp32"), ("torch", "fp32")]
    assert verdict.engine == "torch" and verdict.cosine == pytest.approx(1)


def test_when_nothing_is_right_nothing_is_chosen(
    network: Callable[..., FrozenNetwork], monkeypatch: pytest.MonkeyPatch
) -> None:
    nonsense = np.full((4, 64), np.nan, np.float32)
    monkeypatch.setattr(FrozenNetwork, "engine", lambda *_: lambda images: nonsense)
    made = network("extraction.precision=fp32")
    with pytest.warns(EngineWarning), pytest.raises(UserError, match="no engine runs tiny_cnn"):
        made.verdict(IMAGES, 4)
    assert made.known_verdict() is None


@pytest.mark.parametrize(
    ("wanted", "installed", "gpu", "expected"),
    [
        ("auto", True, False, [("openvino", "bf16"), ("openvino", "fp32"), ("torch", "fp32")]),
        ("auto", False, False, [("torch", "bf16"), ("torch", "fp32")]),
        ("auto", True, True, [("torch", "bf16"), ("torch", "fp32")]),
        ("openvino", True, True, [("openvino", "bf16"), ("openvino", "fp32"), ("torch", "fp32")]),
        ("torch", True, False, [("torch", "bf16"), ("torch", "fp32")]),
    ],
)
def test_the_order_of_preference(
    network: Callable[..., FrozenNetwork],
    monkeypatch: pytest.MonkeyPatch,
    wanted: str,
    installed: bool,
    gpu: bool,
    expected: list[tuple[str, str]],
) -> None:
    monkeypatch.setattr(openvino_engine, "available", lambda: installed)
    monkeypatch.setattr(torch_engine, "on_gpu", lambda: gpu)
    for engine in (openvino_engine, torch_engine):
        monkeypatch.setattr(engine, "hardware_precision", lambda: "bf16")
    assert list(network(f"extraction.engine={wanted}")._candidates()) == expected


def test_hardware_without_bf16_is_run_in_fp32(
    network: Callable[..., FrozenNetwork], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_engine, "hardware_precision", lambda: "fp32")
    assert list(network()._candidates()) == [("openvino", "fp32"), ("torch", "fp32")]


def test_an_engine_that_is_not_installed_is_refused(
    network: Callable[..., FrozenNetwork], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_engine, "available", lambda: False)
    with pytest.raises(UserError, match="openvino is not installed"):
        network("extraction.engine=openvino").verdict(IMAGES, 4)


def test_cosine_of_rows() -> None:
    left = np.array([[1, 0], [0, 2], [0, 0], [0, 0]], np.float32)
    right = np.array([[2, 0], [1, 1], [0, 0], [1, 0]], np.float32)
    assert cosine(left, right)[:3] == pytest.approx([1, 0.5**0.5, 1])
    assert np.isnan(cosine(left, right)[3])


def test_what_is_written_is_plain_json(network: Callable[..., FrozenNetwork]) -> None:
    made = network("extraction.engine=torch")
    made.verdict(IMAGES, 4)
    verdict = next(made.folder.glob("verdict-*.json"))
    assert set(json.loads(verdict.read_text())) == {
        *("engine", "precision", "cosine", "lowest_cosine", SEAL),
    }
