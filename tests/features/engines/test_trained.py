"""A trained network, converted: keyed by content, checked by its answers, not kept for ever."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from untrained_model import save_model, untrained

from graftwork.config.errors import UserError
from graftwork.features.engines import openvino_engine, trained
from graftwork.features.engines.choosing import EngineWarning, Request
from graftwork.features.engines.trained import AnswersVerdict, TrainedNetwork, keep_newest, lead
from graftwork.storage.files import seal

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)


@pytest.fixture
def place(tmp_path: Path, tiny_params: Callable[..., Any]) -> Any:
    experiment, artifacts, _ = untrained(tiny_params("extraction.batch_size=4"), tmp_path)
    return experiment, artifacts


def network(place: Any, **wanted: Any) -> TrainedNetwork:
    experiment, artifacts = place
    request = replace(Request.of(experiment), precision="fp32", **wanted)
    return TrainedNetwork(artifacts.model, artifacts.trained, request, "1", "cpu")


def test_other_weights_data_batches_or_code_are_another_network(place: Any) -> None:
    experiment, artifacts = place
    first = network(place)
    assert network(place, engine="torch").key == first.key
    assert network(place, batch_size=2).key != first.key
    other = TrainedNetwork(artifacts.model, artifacts.trained, first.request, "2", "cpu")
    assert other.key != first.key
    contract = json.loads((artifacts.model / "model.json").read_text())
    changed = contract | {"data_digest": "1"}
    (artifacts.model / "model.json").write_text(json.dumps(seal(changed)))
    assert network(place).key != first.key  # its verdict would be about other pictures
    save_model(replace(experiment, model=replace(experiment.model, pooling="max")), artifacts)
    assert network(place).key != first.key


def test_a_damaged_model_answers_nothing_though_it_was_converted(place: Any) -> None:
    network(place).verdict(IMAGES, 4)
    path = place[1].model / "head.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UserError, match=r"head.safetensors: sha256 is"):
        network(place)


def test_answers_that_differ_are_counted(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = network(place)
    expected = made.reference(IMAGES)
    said = expected.copy()
    two = np.sort(expected[1])[-2:]
    swapped = {two[0]: two[1] + 1e-3, two[1]: two[0]}
    said[1] = [swapped.get(value, value) for value in expected[1]]
    monkeypatch.setattr(TrainedNetwork, "engine", lambda *_: lambda images: said + 100)
    verdict = network(place, min_cosine=0.5).verdict(IMAGES, 4)
    assert isinstance(verdict, AnswersVerdict)
    assert (verdict.pictures, verdict.differing, verdict.tie) == (4, 1, 0)
    assert 0.5 < verdict.cosine < 1  # what all logits of a picture have in common says nothing
    assert network(place, min_cosine=0.5).known_verdict() == verdict


def test_a_near_tie_is_twice_what_the_lead_of_the_first_class_moves() -> None:
    expected = np.array([[3, 1, 0], [0, 2, 1.9], [5, 0, 1], [0, 0, 9]], np.float32)
    found = np.array([[3.2, 1, 0], [0, 2, 2.3], [5, 0, 1.2], [0, 0, 9.3]], np.float32)
    assert lead(found, found) == pytest.approx([2.2, 0.3, 3.8, 9.3])
    assert lead(found, expected) == pytest.approx([2, -0.1, 4, 9])
    verdict = AnswersVerdict.of("openvino", "bf16", found + 7, expected)
    tie = 2 * np.sqrt((0.2**2 + 0.4**2 + 0.2**2 + 0.3**2) / 4)
    assert verdict.tie == pytest.approx(tie) and 0.3 < tie < 2.2
    assert (verdict.pictures, verdict.differing) == (4, 0)  # the second one is asked again
    assert AnswersVerdict.of("openvino", "fp32", found, expected).differing == 1
    alone = AnswersVerdict.of("openvino", "bf16", found[:, :1], expected[:, :1])
    assert (alone.differing, alone.tie) == (0, 0)


def test_logits_that_changed_are_refused(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        TrainedNetwork, "engine", lambda *_: lambda images: np.eye(4, 3, dtype=np.float32)
    )
    request = replace(network(place).request, group="evaluation")
    made = TrainedNetwork(place[1].model, place[1].trained, request, "1", "cpu")
    with (
        pytest.warns(EngineWarning, match="changes the logits"),
        pytest.raises(UserError, match=r"evaluation.engine: no engine runs tiny_cnn"),
    ):
        made.verdict(IMAGES, 4)


def test_few_are_kept(place: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(trained, "KEPT", 2)
    kept = place[1].trained
    for number, name in enumerate(("old", "used", "new")):
        (kept / name).mkdir(parents=True)
        (kept / f"{name}.lock").touch()
        os.utime(kept / name, (number, number))
    with FileLock(kept / "used.lock"):  # by another process
        made = network(place)
        made.verdict(IMAGES, 4)
    left = {path.name for path in kept.iterdir() if path.is_dir()}
    assert left == {"used", "new", made.key}
    assert not (kept / "old.lock").exists()
    keep_newest(kept, 1)
    assert [path.name for path in kept.iterdir() if path.is_dir()] == [made.key]
    assert (made.folder / openvino_engine.NETWORK).is_file() and made.known_verdict() is not None
