"""The profile of the network in use: paid for once, read afterwards."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest
from conftest import CONF

from graftwork.artifacts import Artifacts
from graftwork.engines import keys
from graftwork.profiling import profile, stored
from graftwork.profiling.chosen import model_of


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


def test_reading_it_imports_neither_torch_nor_timm(artifacts):
    stored.static_costs(model_of("tiny_cnn", conf=CONF), 3, artifacts)
    code = f"""
import sys
from pathlib import Path
from graftwork.artifacts import Artifacts
from graftwork.profiling.chosen import model_of
from graftwork.profiling.stored import static_costs
found = static_costs(model_of("tiny_cnn", conf=Path({str(CONF)!r})), 3,
                     Artifacts.at({str(artifacts.root)!r}))
assert found["macs"] > 0
assert not {{"torch", "timm"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
