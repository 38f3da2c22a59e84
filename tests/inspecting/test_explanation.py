from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from untrained_model import untrained

from graftwork.data import manifest
from graftwork.inspecting.explanation import Explainer
from graftwork.model_folder import contents as model_folder


@pytest.fixture
def made(tmp_path: Path, tiny_params: Callable[..., Any]) -> tuple[Any, Any, bytes]:
    """The tree of an experiment, the contract as if trained on its data, and a training photo."""
    _, artifacts, _ = untrained(tiny_params("extraction.engine=torch"), tmp_path)
    frame = manifest.read(artifacts.manifest)
    contract = model_folder.read_contract(artifacts.model)
    known = replace(contract, data_digest=manifest.digest(frame))
    photo = manifest.of_split(frame, "train")["path"][3]
    return artifacts, known, Path(photo).read_bytes()


def test_a_training_photo_is_most_like_itself_and_has_a_heat(made: Any) -> None:
    artifacts, contract, photo = made
    explain = Explainer(artifacts.model, contract, artifacts.trained, shows_training=True)
    found = explain(photo, np.array([0.1, 0.7, 0.2], np.float32))
    assert found["heat"].startswith("data:image/png;base64,")
    first, *others = found["alike"]
    label = manifest.of_split(manifest.read(artifacts.manifest), "train")["class"][3]
    assert first["name"] == label and first["cosine"] == pytest.approx(1, abs=1e-5)
    assert len(others) == 3 and all(like["cosine"] <= first["cosine"] for like in others)
    assert first["picture"].startswith("data:image/jpeg;base64,")
    assert found["tested"] is None and not found["lacking"]


def test_how_often_such_a_probability_was_right_is_counted(made: Any) -> None:
    artifacts, contract, _ = made
    explain = Explainer(artifacts.model, contract, artifacts.trained, shows_training=False)
    assert explain._tested(0.72) is None
    one, two, _ = contract.classes
    rows = [(one, one, 0.71), (one, two, 0.79), (two, two, 0.7), (one, one, 0.8), (one, one, 1.0)]
    artifacts.predictions.parent.mkdir(exist_ok=True)
    frame = pd.DataFrame(rows, columns=["class", "predicted", "probability"])
    frame["probability"] = frame["probability"].astype(np.float32)
    frame.to_parquet(artifacts.predictions)
    explain = Explainer(artifacts.model, contract, artifacts.trained, shows_training=False)
    assert explain._tested(0.72) == {"low": 0.7, "high": 0.8, "photos": 3, "right": 2}
    assert explain._tested(1.0) == {"low": 0.9, "high": 1.0, "photos": 1, "right": 1}
    assert explain._tested(0.1) == {"low": 0.1, "high": 0.2, "photos": 0, "right": 0}
    frame.assign(predicted="stranger").to_parquet(artifacts.predictions)
    assert (
        Explainer(artifacts.model, contract, artifacts.trained, shows_training=False)._tested(0.7)
        is None
    )


def test_what_is_lacking_is_said(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    artifacts, contract, photo = made
    chances = np.array([0.1, 0.7, 0.2], np.float32)
    elsewhere = Explainer(artifacts.model, contract, artifacts.trained, shows_training=False)
    assert elsewhere(photo, chances)["lacking"] == [
        "Training photos like it: are shown to this machine alone."
    ]
    of_other_data = replace(contract, data_digest="0")
    found = Explainer(artifacts.model, of_other_data, artifacts.trained, shows_training=True)
    monkeypatch.setattr("graftwork.inspecting.explanation.find_spec", lambda _: None)
    said = found(photo, chances)
    assert said["heat"] is None and said["alike"] == []
    assert said["lacking"] == [
        "Where the network looked: needs the extra graftwork[inspect].",
        "Training photos like it: the run that the model came from is not at hand.",
    ]
