"""From a prepared experiment to sentences, a page and a list of photos to label."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import draw_photo
from tiny_experiment import tiny_experiment

from graftwork.advising import command
from graftwork.config.errors import UserError
from graftwork.data import manifest
from graftwork.evaluating import prediction_table
from graftwork.storage.artifacts import Artifacts

MEANS = ("transfer=class_means", "transfer/start=random")


@pytest.fixture
def prepared(
    tiny_params: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Artifacts:
    """A probe of 33 photos; features that tell colours, in the place of a backbone's."""
    for number in range(5):
        draw_photo(tmp_path / f"new/{number}.jpg", (40, 60, 200), 100 + number)
    params = tiny_params(*MEANS, "selection=random", f"dataset.unlabelled={tmp_path / 'new'}")
    _, artifacts = tiny_experiment(params, tmp_path / "job")
    labels = dict(manifest.read(artifacts.manifest)[["sha256", "label"]].itertuples(index=False))

    def features_of(experiment: Any, place: Any, rows: Any) -> np.ndarray:
        known = np.array([labels[name] for name in rows["sha256"]], np.int64)
        noise = np.random.default_rng(0).normal(0, 0.5, (len(rows), 4))
        return (noise + np.eye(3, 4)[np.maximum(known, 0)]).astype(np.float32)

    monkeypatch.setattr(command, "features_of", features_of)
    return artifacts


def test_it_says_what_more_labels_and_another_run_bring(prepared, tmp_path, capsys) -> None:
    other = Artifacts.at(tmp_path / "other")
    frame = manifest.of_split(manifest.read(prepared.manifest), "train")
    sure = np.eye(3, dtype=np.float32)[frame["label"]]
    prediction_table.write(other.held_out, frame, ("blue", "green", "red"), sure)
    page, table = tmp_path / "page.html", tmp_path / "next.csv"
    command.run(prepared.root, [other.root], page, 3, table)
    text = " ".join(capsys.readouterr().out.replace("\u202f", " ").split())
    assert "of 33 held-out pictures are recognised" in text
    assert "Twice the labels: +" in text and "points (" in text
    assert f"{other.root} instead: +" in text.replace("\n", "") and "on 24 of these" in text
    assert "first." in text or "cannot be told" in text
    assert "<svg" in page.read_text() and len(table.read_text().splitlines()) == 1 + 3


def test_mistakes_are_named_before_any_work(prepared, tiny_params, tmp_path) -> None:
    nobody = tmp_path / "nobody"
    with pytest.raises(UserError, match="--against: .*nobody: no held-out answers"):
        command.run(prepared.root, [nobody], tmp_path / "p.html", 0, tmp_path / "t.csv")
    _, trained = tiny_experiment(tiny_params(), tmp_path / "trained")
    with pytest.raises(UserError, match="from_scratch computes no head from features"):
        command.run(trained.root, [], tmp_path / "p.html", 0, tmp_path / "t.csv")
    _, alone = tiny_experiment(tiny_params(*MEANS), tmp_path / "alone")
    with pytest.raises(UserError, match="dataset.unlabelled=FOLDER"):
        command.run(alone.root, [], tmp_path / "p.html", 3, tmp_path / "t.csv")
