"""A trained network answers by an engine, as eager float32 does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from untrained_model import untrained

from graftwork.evaluating.answering import answering
from graftwork.features.engines import openvino_engine, trained


@pytest.fixture
def prepared(tmp_path: Path, tiny_params: Callable[..., Any]) -> Callable[..., Any]:
    """`prepared(*overrides)`: an experiment on 15 test photos, with a model folder."""
    return lambda *overrides: untrained(
        tiny_params("extraction.batch_size=4", *overrides), tmp_path
    )


@pytest.mark.parametrize(("engine", "chosen"), [("auto", "openvino"), ("torch", "torch")])
def test_an_engine_answers_as_eager_float32(
    prepared: Callable[..., Any], engine: str, chosen: str
) -> None:
    """15 pictures in batches of four: the last one is filled up, and nobody sees it."""
    expected = answering(*prepared("evaluation.engine=eager"))
    wanted = (f"evaluation.engine={engine}", "evaluation.precision=fp32")
    experiment, artifacts, frame = prepared(*wanted)
    network = answering(experiment, artifacts, frame)
    found, grey = network.logits(frame), network.logits(frame, grey_view)
    assert found.shape == (15, 3) and found.dtype == np.float32
    assert found == pytest.approx(expected.logits(frame), rel=1e-5, abs=1e-5)
    assert found[3] == pytest.approx(network.logits(frame.iloc[3:4])[0], abs=1e-6)
    assert np.ptp(grey, axis=0).max() < 1e-6 < np.ptp(found, axis=0).max()
    entry = network.entry
    assert (entry["engine"], entry["precision"]) == (chosen, "fp32")
    assert (entry["pictures"], entry["differing"]) == (4, 0) and entry["cosine"] > 0.99999
    assert expected.entry == {"engine": "eager", "precision": "fp32"}


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_what_is_nearly_a_tie_is_asked_again_in_float32(
    prepared: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    asked = f"evaluation.engine={engine}"
    exact = answering(*prepared(asked, "evaluation.precision=fp32"))
    experiment, artifacts, frame = prepared(asked, "evaluation.precision=bf16")
    plain = trained.AnswersVerdict.of

    def by_half(*args: Any) -> trained.AnswersVerdict:
        """As if the half of the pictures were between two classes."""
        return replace(plain(*args), tie=tie)

    tie = float(np.median(trained.lead(*[exact.logits(frame)] * 2)))
    monkeypatch.setattr(trained.AnswersVerdict, "of", by_half)
    network = answering(experiment, artifacts, frame)
    found, in_fp32 = network.logits(frame), exact.logits(frame)
    same = np.isclose(found, in_fp32, rtol=1e-6, atol=1e-6).all(axis=1)
    near = trained.lead(in_fp32, in_fp32) < 0.9 * tie
    assert near.any() and same[near].all()
    assert same.sum() <= 10 or openvino_engine.hardware_precision() == "fp32"
    assert found == pytest.approx(in_fp32, abs=0.02)
    assert network.entry["asked_again"] in range(5, 11)
    assert exact.entry["asked_again"] == exact.entry["tie"] == 0


def grey_view(image: np.ndarray, spec: Any) -> np.ndarray:
    return np.full((spec.size, spec.size, 3), 100, np.uint8)


def test_a_second_time_nothing_is_converted_and_no_torch_needed(
    prepared: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = "evaluation.engine=auto"
    experiment, artifacts, frame = prepared(wanted)
    first = answering(experiment, artifacts, frame)
    monkeypatch.setattr(trained.model_folder, "load", None)
    monkeypatch.setattr(trained.openvino_engine, "convert", None)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "torch", None)
        again = answering(experiment, artifacts, frame)
        assert (again.logits(frame) == first.logits(frame)).all() and again.entry == first.entry


def test_none_of_no_pictures(prepared: Callable[..., Any]) -> None:
    experiment, artifacts, frame = prepared("evaluation.engine=auto")
    assert len(answering(experiment, artifacts, frame).logits(frame.iloc[:0])) == 0
