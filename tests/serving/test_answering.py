"""A model folder answers, streamed, exactly as evaluation does."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import composed
from untrained_model import untrained

from graftwork.evaluating.answering import answering
from graftwork.evaluating.probabilities import by_features
from graftwork.features.engines.trained import AnswersVerdict, lead
from graftwork.model_folder import contents as model_folder
from graftwork.serving import answering as streamed
from graftwork.serving.answering import ModelAnswers
from graftwork.serving.reading import Photo, read_batch
from graftwork.serving.settings import ALONE, Settings


def said(artifacts: Any, paths: Sequence[str], size: int = 4) -> tuple[list[Photo], np.ndarray]:
    """By the model folder of an experiment, with the store of its project."""
    load = partial(
        read_batch, contract=model_folder.read_contract(artifacts.model), batch_size=size
    )
    answers = ModelAnswers(artifacts.model, artifacts.trained, None, lambda: load(paths[:size]))
    chunks = [paths[start : start + size] for start in range(0, len(paths), size)]
    found = list(answers.of(chunks, load))
    photos = [photo for batch, _ in found for photo in batch]
    return photos, np.concatenate([rows for _, rows in found if len(rows)])


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_a_trained_network_says_what_evaluation_says_bit_for_bit(
    tmp_path: Path,
    tiny_params: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    engine: str,
) -> None:
    """Near ties, which come together from several batches, among them."""
    monkeypatch.setattr(streamed, "MOST", 3)
    monkeypatch.setattr(AnswersVerdict, "of", half_are_ties(AnswersVerdict.of))
    wanted = ("extraction.batch_size=4", f"evaluation.engine={engine}", "dataset.decoded_side=38")
    experiment, artifacts, frame = untrained(tiny_params(*wanted), tmp_path)
    network = answering(experiment, artifacts, frame)
    expected = network.probabilities(frame)
    photos, found = said(artifacts, list(frame["path"].astype(str)))
    assert found.dtype == np.float32 and np.array_equal(found, expected)
    assert [photo.sha256 for photo in photos] == list(frame["sha256"])
    assert 0 < network.entry["asked_again"] < len(frame)


def half_are_ties(of: Any) -> Any:
    def verdict(engine: str, precision: str, found: np.ndarray, expected: np.ndarray) -> Any:
        made = of(engine, precision, found, expected)
        return replace(made, tie=float(np.median(lead(found, found))))

    return verdict


def test_a_head_on_features_says_what_evaluation_says(
    tmp_path: Path, tiny_params: Callable[..., Any]
) -> None:
    """By the backbone in the folder, not by that of the store, which is the same."""
    params = tiny_params("extraction.batch_size=4", "dataset.decoded_side=38")
    experiment, artifacts, frame = untrained(params, tmp_path, trained_share=0.0)
    expected = by_features(experiment, artifacts, frame)
    _, found = said(artifacts, list(frame["path"].astype(str)))
    assert np.array_equal(found, expected) and np.ptp(found, axis=0).max() > 0.01


def test_what_cannot_be_read_is_told_and_changes_no_other_answer(
    tmp_path: Path, tiny_params: Callable[..., Any]
) -> None:
    _, artifacts, frame = untrained(tiny_params("extraction.batch_size=4"), tmp_path)
    paths = list(frame["path"].astype(str))
    _, expected = said(artifacts, paths)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(Path(paths[0]).read_bytes()[:300])
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    wrong = [str(broken), str(tmp_path / "gone.jpg"), str(pipe), str(tmp_path)]
    photos, found = said(artifacts, [*wrong, *paths])
    assert np.array_equal(found, expected)
    assert [photo.path for photo in photos] == [*wrong, *paths]
    reasons = [photo.reason for photo in photos]
    assert reasons[1:4] == ["cannot be read: No such file or directory", *["is no file"] * 2]
    assert "truncated" in reasons[0].lower() and not any(reasons[4:])


def test_a_folder_alone_is_run_as_conf_says(tmp_path: Path) -> None:
    params = composed()
    model = tmp_path / "model"
    assert Settings.of(model, trained=True) == Settings.of(model, trained=False) == ALONE
    (tmp_path / "params.yaml").write_text(json.dumps(params))
    assert Settings.of(model, trained=True) == Settings.of(model, trained=False) == ALONE
    params["evaluation"] |= {"engine": "eager"}
    params["extraction"] |= {"precision": "bf16", "batch_size": 8}
    (tmp_path / "params.yaml").write_text(json.dumps(params))
    assert Settings.of(model, trained=True) == replace(
        ALONE, engine="torch", precision="fp32", batch_size=8
    )
    assert Settings.of(model, trained=False) == replace(ALONE, precision="bf16", batch_size=8)
    (tmp_path / "params.yaml").write_text("extraction: 1")
    assert Settings.of(model, trained=True) == ALONE  # of another version
