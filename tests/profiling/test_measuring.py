from __future__ import annotations

from dataclasses import replace

import pytest
from conftest import composed

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.models.base import Model
from graftwork.profiling.measuring import measure, training_peak
from graftwork.profiling.memory import forecast
from graftwork.profiling.speed import quick_speed


@pytest.fixture(scope="module")
def tiny() -> Model:
    return build(composed("model=tiny_cnn")["model"], Model, "model")


def test_speed_in_this_process(tiny: Model) -> None:
    classifier = tiny.build(3, None).train()
    found = quick_speed(classifier, batch_size=8, precision="fp32", seconds=0.1)
    assert 0 < found.latency_ms <= found.latency_p95_ms < 1000
    # A batch of eight shares what every call costs.
    assert found.images_per_s > 1000 / found.latency_p95_ms
    assert found.energy_mj_per_image > 0 and found.energy_source
    assert (found.precision, found.batch_size) == ("fp32", 8)
    assert classifier.training
    assert not any(p.grad is not None for p in classifier.parameters())


def test_wrong_settings_are_refused(tiny: Model) -> None:
    classifier = tiny.build(3, None)
    for wrong in ({"batch_size": 0}, {"precision": "int8"}, {"seconds": 0}):
        with pytest.raises(UserError, match=next(iter(wrong))):
            quick_speed(classifier, **wrong)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="precision"):
        measure(tiny, num_classes=3, batch_size=1, precision="int8")  # before any process starts


def test_a_network_in_a_process_of_its_own(tiny: Model) -> None:
    larger = replace(tiny, input_size=256)
    found = measure(larger, num_classes=3, batch_size=64, precision="fp32", seconds=0.2)
    assert 0 < found.latency_ms <= found.latency_p95_ms
    assert found.images_per_s > 0
    # Pixels as bytes and as numbers, twice while they are normalised: libraries are not in it.
    pixels = 64 * 3 * 256 * 256 / 2**20
    assert 5 * pixels < found.peak_mib < 30 * pixels
    assert found.as_dict()["peak_mib"] == found.peak_mib


def test_what_fails_there_is_told_here(tiny: Model) -> None:
    broken = replace(tiny, architecture="vit_tiny_patch16_224", input_size=8)
    with pytest.raises(UserError, match="own process: .*vit_tiny_patch16_224 cannot take 8 px"):
        measure(broken, num_classes=3, batch_size=1)


@pytest.mark.slow
def test_the_forecast_is_near_what_training_takes() -> None:
    experiment = Experiment.from_params(
        composed(
            "model=timm", "model.architecture=resnet18", "model.input_size=160",
            "transfer=fine_tune", "trainer.batch_size=16", "trainer.precision=fp32",
            "trainer.accelerator=cpu",
        )
    )  # fmt: skip
    expected = forecast(
        experiment.model.build(10, None), experiment.transfer, batch_size=16, precision="fp32"
    )
    measured = training_peak(
        experiment.model, experiment.transfer, experiment.trainer, num_classes=10
    )
    assert expected.total == pytest.approx(measured, rel=0.3)
