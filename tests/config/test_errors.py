from __future__ import annotations

import math

import pytest

from graftwork.config.errors import UserError, check_choice, check_range, nearest_first, unknown


def test_nearest_name_comes_first():
    assert nearest_first("resnet5", ["vgg16", "resnet50", "lenet5"])[0] == "resnet50"


def test_message_has_value_legal_values_and_remedy():
    message = str(unknown("model", "resnet5", ["vgg16", "resnet50"], "See `graftwork models`."))
    assert message == (
        "model: 'resnet5' is unknown. Did you mean 'resnet50'? Legal: resnet50, vgg16. "
        "See `graftwork models`."
    )


def test_choice():
    check_choice("engine", "torch", ("auto", "torch"))
    with pytest.raises(UserError, match="engine: 'troch'.*Did you mean 'torch'"):
        check_choice("engine", "troch", ("auto", "torch"))


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
def test_out_of_range(value):
    with pytest.raises(UserError, match=r"rate: .* is out of bounds. Legal: >= 0 and <= 1."):
        check_range("rate", value, 0, 1)


def test_range_ends_belong_unless_open():
    check_range("rate", 0, 0, 1)
    check_range("rate", 1, 0, 1)
    with pytest.raises(UserError, match="> 0"):
        check_range("rate", 0, 0, low_open=True)
