from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from conftest import composed
from torch import nn

from graftwork.config.components import build
from graftwork.features.engines import torch_engine
from graftwork.features.engines.choosing import cosine
from graftwork.features.engines.torch_engine import TorchEngine, eager_features, folded
from graftwork.models.base import Model
from graftwork.models.network.classifier import Classifier
from graftwork.models.network.folding import followed_by_norm


def lively(architecture: str) -> Classifier:
    """A network whose BatchNorms do something."""
    torch.manual_seed(0)
    overrides = ("model=timm", f"model.architecture={architecture}", "model.input_size=32")
    model = build(composed(*overrides)["model"], Model, "model")  # type: ignore[type-abstract]
    classifier = model.build(3, None)
    for module in classifier.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return classifier


def images(count: int = 4, side: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize(
    "architecture", ["tiny_cnn", "resnet10t", "tf_mobilenetv3_small_minimal_100"]
)
def test_folding_removes_every_batch_norm_and_changes_nothing(architecture: str) -> None:
    classifier = lively(architecture)
    network = folded(classifier)
    assert norms(classifier) > 0 == norms(network)
    found, expected = (
        TorchEngine(classifier, "fp32")(images()),
        eager_features(classifier, images()),
    )
    assert np.allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    assert norms(classifier) > 0, "the classifier itself is left alone"


def test_bf16_is_near_and_is_not_fp32() -> None:
    classifier = lively("resnet10t")
    found, expected = (
        TorchEngine(classifier, "bf16")(images()),
        eager_features(classifier, images()),
    )
    assert found.dtype == np.float32
    assert cosine(found, expected).min() > 0.99
    assert not np.allclose(found, expected, rtol=1e-5)


def test_eager_features_leave_the_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = lively("tiny_cnn")
    before = classifier.backbone.stem.bn.running_mean.clone()
    eager_features(classifier.train(), images())
    assert classifier.training and classifier.backbone.stem.bn.training
    assert torch.equal(classifier.backbone.stem.bn.running_mean, before)


class Twice(nn.Module):
    """One convolution before two BatchNorms: neither may be folded into it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.first, self.second = nn.BatchNorm2d(4), nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.first(self.conv(x)) + self.second(self.conv(x))


class Branching(nn.Module):
    """The convolution's output is also used without the BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
        self.bn.running_mean.fill_(3)

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        return self.bn(y) + y

    def group_matcher(self, coarse: bool) -> dict[str, str]:
        return {"stem": "^conv", "blocks": "^bn"}


def test_a_convolution_that_runs_twice_is_not_folded() -> None:
    network = Twice().eval()
    batch = torch.randn(1, 3, 2, 2)
    assert followed_by_norm(network, lambda: network(batch)) == []


def test_folding_that_would_change_the_result_is_dropped() -> None:
    spec = lively("tiny_cnn").input_spec
    classifier = Classifier(Branching(), "avg", nn.Linear(4, 2), spec, 4)
    network = folded(classifier)
    assert norms(network) == 1


def test_hardware_precision_is_asked_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(torch_engine, "on_gpu", lambda: False)
    monkeypatch.setattr(torch_engine, "chosen", lambda *a: seen.append(a) or "fp32")
    assert torch_engine.hardware_precision() == "fp32"
    assert seen == [("auto", False)]
