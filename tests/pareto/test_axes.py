from __future__ import annotations

import math

import pytest

from graftwork.config.errors import UserError
from graftwork.pareto.axes import AXES, SIDE_BY_SIDE, axis_of, costs


def test_costs_by_word_and_seconds_in_sum():
    recorded = {
        "macs": 4e8, "latency_ms": 12.0, "seconds/finetune": 100.0, "seconds/evaluate": 5.0,
        "energy_mj_per_image": math.nan, "images_per_second/test": 90.0,
    }  # fmt: skip
    assert costs(recorded) == {
        "macs": 4e8, "latency": 12.0, "seconds": 105.0, "seconds/finetune": 100.0,
        "seconds/evaluate": 5.0,
    }  # fmt: skip


def test_a_word_or_the_recorded_name_chooses():
    assert axis_of("latency", []) is axis_of("latency_ms", [])
    stage = axis_of("seconds/finetune", ["seconds/finetune"])
    assert stage.word == "seconds/finetune" and "finetune" in stage.label
    with pytest.raises(UserError, match="--cost: 'maks' is unknown. Did you mean 'macs'?"):
        axis_of("maks", ["seconds/finetune"])
    with pytest.raises(UserError, match="Did you mean 'seconds/finetune'?"):
        axis_of("seconds/finetun", ["seconds/finetune"])


def test_the_usual_ones_exist():
    assert {*SIDE_BY_SIDE} <= {axis.word for axis in AXES}
