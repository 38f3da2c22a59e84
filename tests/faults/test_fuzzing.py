"""A few seconds of what `make chaos ARGS="--fuzz 10"` does for minutes; always the same inputs."""

from __future__ import annotations

import random
import warnings

import pytest
from fuzzing import configuration_trials, picture_trials

from graftwork.experiment import Experiment


def test_pictures() -> None:
    assert picture_trials(200, random.Random(0)) == []


def test_configurations() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert configuration_trials(30, 1, start=0) == []


def test_what_escapes_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("lost")

    monkeypatch.setattr(Experiment, "from_params", broken)
    monkeypatch.setattr("fuzzed_pictures.take_picture", broken)
    assert "KeyError('lost') of" in picture_trials(1, random.Random(0))[0]
    assert all("lost" in found for found in configuration_trials(2, 2, start=0))
