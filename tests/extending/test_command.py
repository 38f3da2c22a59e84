"""`graftwork add-class`: a class more, what that does to the old ones, and where it came from."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import composed, draw_photo
from tiny_experiment import tiny_experiment
from untrained_model import save_model

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.extending import new_class
from graftwork.extending.command import ADDED, add_class
from graftwork.model_folder import contents as model_folder
from graftwork.models.heads import Linear
from graftwork.predicting.command import Outputs, predict
from graftwork.transfer.head_init import AsBuilt, ConvergedProbe
from graftwork.transfer.parts import HeadInit
from graftwork.transfer.ridge import Ridge

ENGINE = ("extraction.engine=torch", "extraction.precision=fp32", "extraction.batch_size=8")


@pytest.fixture
def run(tmp_path: Path, tiny_params: Callable[..., Any]) -> Any:
    """A run with a trained network, and photos of a fourth class."""
    params = tiny_params(*ENGINE, "evaluation.engine=torch", "evaluation.precision=fp32")
    experiment, artifacts = tiny_experiment(params, tmp_path / "run")
    save_model(experiment, artifacts)
    for number in range(6):
        draw_photo(tmp_path / "yellow" / f"{number}.jpg", (230, 220, 40), 100 + number)
    return experiment, artifacts, tmp_path / "yellow"


def test_the_new_model_knows_the_class_and_where_it_came_from(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, artifacts, photos = run
    (photos / "broken.jpg").write_bytes(b"<html>")
    old = model_folder.read_contract(artifacts.model)
    target = add_class(str(artifacts.root), "yellow", photos, None)
    assert target == artifacts.root / "model-with-yellow"
    said = capsys.readouterr()
    assert "broken.jpg: a web page, not an image" in said.err
    assert re.search(r"yellow: 6 photos; .* of 6 found by heads that had not seen them", said.out)
    told = r"old classes, 15 test photos: top-1 .* before, .* after: [+-][\d.]+ points \("
    assert re.search(told, said.out)
    contract = model_folder.read_contract(target)
    assert contract.classes == ["blue", "green", "red", "yellow"]
    (entry,) = contract.training[ADDED]
    assert (entry["name"], entry["photos"], entry["before"]["classes"]) == ("yellow", 6, 3)
    assert entry["before"]["weights_sha256"] == old.weights_sha256
    assert (
        contract.weights_sha256["backbone.safetensors"]
        == (old.weights_sha256["backbone.safetensors"])
    )
    assert contract.data_digest != old.data_digest and contract.pretrained == old.pretrained
    out = tmp_path / "out.csv"
    assert predict(str(target), [str(photos)], Outputs(out, 1, None, False, None), None, None) == 1
    lines = out.read_text().splitlines()[1:]
    assert sum(",yellow," in line for line in lines) >= 5


def test_a_second_class_goes_on_from_the_first(run: Any, tmp_path: Path) -> None:
    _, artifacts, photos = run
    first = add_class(str(artifacts.root), "yellow", photos, tmp_path / "run" / "four")
    for number in range(4):
        draw_photo(tmp_path / "black" / f"{number}.jpg", (5, 5, 5), 200 + number)
    second = add_class(str(first), "black", tmp_path / "black", tmp_path / "run" / "five")
    contract = model_folder.read_contract(second)
    assert contract.classes == ["blue", "green", "red", "yellow", "black"]
    assert [entry["name"] for entry in contract.training[ADDED]] == ["yellow", "black"]
    (photos / "0.jpg").unlink()
    with pytest.raises(UserError, match="the photos of its class 'yellow' .* are others"):
        add_class(str(first), "black", tmp_path / "black", tmp_path / "run" / "six")


def test_what_cannot_be_added_is_refused_before_anything_is_written(
    run: Any, tmp_path: Path, tiny_folder: Path
) -> None:
    _, artifacts, photos = run
    root = str(artifacts.root)
    (tmp_path / "empty").mkdir()
    copied = tmp_path / "copied"
    copied.mkdir()
    for path in (*(tiny_folder / "train/red").glob("[01].jpg"), photos / "0.jpg"):
        (copied / f"{path.parent.name}{path.name}").write_bytes(path.read_bytes())
    for name, folder, to, says in [
        ("red", photos, None, "NAME: 'red' is a class already"),
        (" ", photos, None, "NAME"),
        ("x", tmp_path / "none", None, "FOLDER: .*no such folder"),
        ("x", tmp_path / "empty", None, "holds 0 photos. Give two at least"),
        ("x", copied, None, "is a photo of another class of the run"),
        ("x", photos, artifacts.model, "is there already"),
    ]:
        with pytest.raises(UserError, match=says):
            add_class(root, name, folder, to)
    alone = tmp_path / "alone"
    alone.mkdir()
    artifacts.model.rename(alone / "model")
    with pytest.raises(UserError, match=r"there is no data/manifest.parquet .* Name a run's"):
        add_class(str(alone / "model"), "x", photos, None)


def test_a_computed_head_stays_of_its_kind_and_keeps_the_penalty_that_was_chosen() -> None:
    ridge = Ridge(strengths=[0.1, 0.01], standardise=0.5)
    assert new_class.part_for(ridge, {"strength": 0.01}) == Ridge([0.01], 0.5)
    assert new_class.part_for(ridge, {}) == ridge
    assert new_class.part_for(AsBuilt(), {"strength": 1.0}) == replace(
        new_class.OTHERWISE, strengths=[1.0]
    )
    assert new_class.part_for(AsBuilt(), {}) == new_class.OTHERWISE
    conf = build(composed()["transfer"]["head_init"], HeadInit, "")
    assert isinstance(conf, ConvergedProbe) and conf == new_class.OTHERWISE


def test_old_classes_are_compared_picture_by_picture() -> None:
    """Hand-computed: of four test pictures one is lost to the new class, one is won."""
    features = np.array([[2, 0, 0], [0, 2, 0], [1, 0, 3], [1.0, 1.1, 0]], np.float32)
    labels = np.array([0, 1, 0, 0])
    before = new_class.Before(
        Linear(0.0), {"weight": np.eye(2, 3, dtype=np.float32), "bias": np.zeros(2)}, 2
    )
    tensors = {"weight": np.diag([1.0, 0.9, 1.0]), "bias": np.zeros(3)}

    class After:
        def logits(self, rows: np.ndarray) -> np.ndarray:
            return Linear(0.0).logits(tensors, rows, 3)

    seen = new_class.Labelled(features, labels)
    found = new_class.compared(before, After(), seen, 0.95)  # type: ignore[arg-type]
    assert found is not None
    assert (found.before, found.after, found.called_new, found.pictures) == (0.75, 0.75, 1, 4)
    assert found.difference.value == 0 and found.difference.p == 1
    one = new_class.Labelled(features[:1], labels[:1])
    assert new_class.compared(before, After(), one, 0.95) is None  # type: ignore[arg-type]
