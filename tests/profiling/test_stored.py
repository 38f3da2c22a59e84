"""The profile of the network in use: paid for once, read afterwards."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest
import torch
from conftest import CONF

from graftwork.profiling import keys, profile, speed, stored
from graftwork.profiling.chosen import model_of
from graftwork.profiling.timing import BUSY
from graftwork.storage.artifacts import Artifacts

pytestmark = pytest.mark.usefixtures("quiet_machine")


@pytest.fixture
def artifacts(tmp_path):
    return Artifacts.at(tmp_path)


def test_it_is_the_profile(artifacts):
    model = model_of("tiny_cnn", conf=CONF)
    found = stored.static_costs(model, 3, artifacts)
    assert found["macs"] == profile.static_profile(model, 3).macs
    assert found["parameters"] == 23_696 + 195
    assert [group["name"] for group in found["groups"]] == ["stem", "stages.0", "stages.1", "head"]
    assert found["input"] == [3, 32, 32]


def test_the_second_time_it_is_read(artifacts, monkeypatch):
    model = model_of("tiny_cnn", conf=CONF)
    first = stored.static_costs(model, 3, artifacts)
    monkeypatch.setattr(profile, "static_profile", lambda *_: pytest.fail("counted again"))
    assert stored.static_costs(model, 3, artifacts) == first
    renamed = dataclasses.replace(model, name="other")
    assert stored.static_costs(renamed, 3, artifacts)["model"] == "other"


def test_speed_is_measured_once_for_the_hardware(artifacts, monkeypatch):
    model = model_of("tiny_cnn", conf=CONF)
    first = stored.measured_costs(model, 3, artifacts)
    assert 0 < first["latency_ms"] <= first["latency_p95_ms"]
    assert first["energy_mj_per_image"] > 0 and first["energy_source"]
    assert (first["batch_size"], first["precision"]) == (stored.BATCH, "fp32")
    counted = []
    whole = speed.quick_speed
    monkeypatch.setattr(speed, "quick_speed", lambda *a, **k: counted.append(1) or whole(*a, **k))
    assert stored.measured_costs(model, 3, artifacts) == first
    assert not counted
    monkeypatch.setattr(keys, "hardware", lambda: ("another",))
    stored.measured_costs(model, 3, artifacts)
    assert counted


def test_figures_of_a_busy_machine_are_measured_again_by_the_next_process(artifacts, monkeypatch):
    model = model_of("tiny_cnn", conf=CONF)
    whole, counted, machine = speed.quick_speed, [], [BUSY]

    def measured(*args, **options):
        counted.append(1)
        found = whole(*args, **options)
        return dataclasses.replace(found, machine=(machine or [found.machine])[0])

    monkeypatch.setattr(speed, "quick_speed", measured)
    first = stored.measured_costs(model, 3, artifacts)
    assert first["machine"] == BUSY and not list(artifacts.profiles.glob("*.json"))
    assert stored.measured_costs(model, 3, artifacts) == first and len(counted) == 1  # a sweep
    monkeypatch.setattr(stored, "_doubtful", {})  # as in the next process
    machine.clear()
    assert stored.measured_costs(model, 3, artifacts)["machine"] != BUSY
    assert len(counted) == 2 and len(list(artifacts.profiles.glob("*.json"))) == 1


def test_measuring_leaves_the_seed_alone(artifacts):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    stored.measured_costs(model_of("tiny_cnn", conf=CONF), 3, artifacts)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    "change", [{"input_size": 64}, {"pooling": "max"}, {"input_channels": 1}], ids=str
)
def test_another_network_has_another_key(change):
    model = model_of("tiny_cnn", conf=CONF)
    other = dataclasses.replace(model, **change)
    assert keys.profile_key(other, 3) != keys.profile_key(model, 3)


def test_the_key_knows_the_classes_and_ignores_the_weights():
    model = model_of("mobilenetv2", conf=CONF)
    assert keys.profile_key(model, 3) != keys.profile_key(model, 4)
    assert keys.profile_key(model, 3) == keys.profile_key(
        dataclasses.replace(model, weights=None, name="x"), 3
    )


def test_profiles_of_other_versions_have_other_keys(monkeypatch):
    model = model_of("tiny_cnn", conf=CONF)
    for what in ("COUNTING", "MEASURING", "FEATURES"):
        before = keys.profile_key(model, 3), keys.speed_key(model, 3, "")
        monkeypatch.setattr(keys, what, 100)
        after = keys.profile_key(model, 3), keys.speed_key(model, 3, "")
        assert (before[0] != after[0]) == (what != "MEASURING")
        assert (before[1] != after[1]) == (what != "COUNTING")


def test_reading_it_imports_neither_torch_nor_timm(artifacts):
    stored.static_costs(model_of("tiny_cnn", conf=CONF), 3, artifacts)
    stored.measured_costs(model_of("tiny_cnn", conf=CONF), 3, artifacts)
    code = f"""
import sys
from pathlib import Path
from graftwork.storage.artifacts import Artifacts
from graftwork.profiling.chosen import model_of
from graftwork.profiling.stored import measured_costs, static_costs
asked = model_of("tiny_cnn", conf=Path({str(CONF)!r})), 3, Artifacts.at({str(artifacts.root)!r})
assert static_costs(*asked)["macs"] > 0 and measured_costs(*asked)["latency_ms"] > 0
assert not {{"torch", "timm"}} & set(sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
