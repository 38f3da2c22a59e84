"""A label that was turned on purpose is told, drawn and written down to be corrected."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_experiment import tiny_experiment

from graftwork.config.errors import UserError
from graftwork.data import manifest
from graftwork.evaluating import prediction_table
from graftwork.inspecting import labels
from graftwork.storage.artifacts import Artifacts

COLOURS = ("blue", "green", "red")


@pytest.fixture
def judged(tiny_params: Callable[..., Any], tiny_folder: Path, tmp_path: Path) -> Artifacts:
    """A red photo lies among the blue ones; held-out answers say what photos look like."""
    photo = tiny_folder / "train/red/0.jpg"
    shutil.move(photo, tiny_folder / "train/blue/turned.jpg")
    _, artifacts = tiny_experiment(tiny_params(), tmp_path / "job")
    frame = manifest.of_split(manifest.read(artifacts.manifest), "train")
    looks = frame["label"].to_numpy().copy()
    looks[frame["path"].str.endswith("turned.jpg")] = 2
    answers = np.full((len(frame), 3), 0.1, np.float32) + 0.7 * np.eye(3, dtype=np.float32)[looks]
    prediction_table.write(artifacts.held_out, frame, COLOURS, answers)
    return artifacts


def test_it_is_told_drawn_and_written(judged: Artifacts, tmp_path: Path, capsys) -> None:
    labels.run(judged.root, tmp_path / "page.html", tmp_path / "labels.csv", 10)
    text = capsys.readouterr().out.replace("\u202f", " ")
    assert "blue 10.0 %, rather red 80.0 %" in text and "turned.jpg" in text
    assert "1 of 24 labels are doubted" in text and "9 pictures were not judged" in text
    html = (tmp_path / "page.html").read_text()
    assert html.count("<figure>") == 1 and "data:image/jpeg" in html
    with (tmp_path / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 48 and rows[0]["image"].endswith("turned.jpg")
    assert (rows[0]["label"], rows[0]["suggested"], rows[0]["split"]) == ("blue", "red", "train")
    assert not any(row["suggested"] for row in rows[1:])


def test_the_corrected_table_is_a_data_set(judged, tiny_params, tmp_path) -> None:
    labels.run(judged.root, tmp_path / "page.html", tmp_path / "labels.csv", 1)
    path = tmp_path / "labels.csv"
    path.write_text(path.read_text().replace("turned.jpg,blue,", "turned.jpg,red,"))
    params = tiny_params("dataset=csv", f"dataset.path={path}", "dataset.split_column=split")
    _, artifacts = tiny_experiment(params, tmp_path / "corrected")
    frame = manifest.usable(manifest.read(artifacts.manifest))
    assert frame[frame["path"].str.endswith("turned.jpg")]["class"].tolist() == ["red"]
    assert frame["split"].value_counts().to_dict() == {"train": 24, "test": 15, "val": 9}


def test_without_held_out_answers_it_names_the_way(judged: Artifacts, tmp_path: Path) -> None:
    judged.held_out.unlink()
    with pytest.raises(UserError, match="linear_probe judges every label in seconds"):
        labels.look(judged.root)


def test_a_class_that_a_spreadsheet_would_take_for_a_formula_is_not_written(
    judged: Artifacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "read_classes", lambda _: ["=blue", "green", "red"])
    with pytest.raises(UserError, match="the class '=blue' begins like"):
        labels._check_names(judged)
