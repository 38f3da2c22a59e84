"""The page of a model folder: real photos, real answers, and nothing that becomes markup."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_experiment import tiny_experiment, usable

from graftwork.config.errors import UserError
from graftwork.evaluating import prediction_table as predictions
from graftwork.inspecting import inspection
from graftwork.inspecting.inspection import inspect
from graftwork.model_folder.saving import save
from graftwork.serving.predictor import Predictor

EVIL = "<img src=y onerror=alert(1)>"
CLASSES = ["blue", EVIL, "red"]


@pytest.fixture
def made(tmp_path, tiny_params, monkeypatch):
    """A project with a model of random weights and its predictions of the test photos."""
    experiment, artifacts = tiny_experiment(tiny_params(), tmp_path / "project")
    torch.manual_seed(0)
    classifier = experiment.model.build(3, None)
    torch.nn.init.normal_(classifier.head.weight)
    save(
        artifacts.model,
        classifier,
        experiment=experiment,
        input_spec=classifier.input_spec,
        classes=CLASSES,
        training={"strategy": f"by {EVIL}"},
        pretrained=None,
        data_digest="d",
    )
    frame = usable(artifacts)
    frame = frame[frame["split"] == "test"].reset_index(drop=True)
    evil = Path(frame["path"][0]).with_name(f"{EVIL}.jpg")
    Path(frame["path"][0]).rename(evil)
    frame.loc[0, "path"] = str(evil)
    content = [Path(path).read_bytes() for path in frame["path"]]
    probabilities = Predictor(artifacts.model).probabilities(content)
    predictions.write(artifacts.predictions, frame, CLASSES, probabilities)
    right = probabilities.argmax(axis=1) == frame["label"]
    monkeypatch.chdir(tmp_path)
    return SimpleNamespace(
        root=artifacts.root,
        artifacts=artifacts,
        frame=frame,
        probabilities=probabilities,
        right=int(right.sum()),
        evil=evil,
    )


def shown(made, count=3, **changes):
    options = {"count": count, "html": None, "group": None} | changes
    return inspect(made.root, [], **options).read_text()


def answers(page, kind):
    """The names of the photos with right or wrong answers."""
    figures = re.findall(rf'data-answer="{kind}">(.*?)</figure>', page, re.DOTALL)
    return [unescape(re.search(r'alt="([^"]*)"', figure)[1]) for figure in figures]


def test_as_many_right_and_wrong_as_asked_for(made, capsys):
    wrong = len(made.frame) - made.right
    assert made.right >= 3 and wrong >= 3
    page = shown(made)
    assert len(answers(page, "right")) == len(answers(page, "wrong")) == 3
    assert f"3 of {made.right}" in page and f"3 of {wrong}" in page
    assert len(re.findall("<small>true<", page)) == 3  # the true class's own map
    assert "another model" not in page and "Attention" not in page
    said = capsys.readouterr().out
    assert f"3 of {made.right} right and 3 of {wrong} wrong" in said
    assert str(made.artifacts.inspection) in said
    every = shown(made, count=50)
    assert len(answers(every, "right")) == made.right and len(answers(every, "wrong")) == wrong


def test_wrong_ones_are_the_surest(made):
    predicted = made.probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != made.frame["label"])
    order = wrong[np.argsort(-made.probabilities.max(axis=1)[wrong])]
    names = [Path(made.frame["path"][index]).name for index in order[:3]]
    assert answers(shown(made), "wrong") == names


def test_every_class_has_its_turn(made):
    """Right answers of two classes, one surer in all of its photos than the other."""
    labels = made.frame["label"].to_numpy()
    probabilities = np.full((len(labels), 3), 0.01)
    probabilities[np.arange(len(labels)), labels] = np.where(labels == 0, 0.98, 0.6)
    predictions.write(made.artifacts.predictions, made.frame, CLASSES, probabilities)
    page = shown(made)
    captions = re.findall(r'<p class="right"><b>[^<]*</b>([^<]*)<small>predicted and true', page)
    assert len(captions) == 3 and len(set(captions)) == 3
    assert "another model" in page  # these are not what the network says


def test_nothing_becomes_markup_and_nothing_is_fetched(made):
    page = shown(made, count=50)
    assert EVIL not in page and "&lt;img src=y onerror=alert(1)&gt;.jpg" in page
    assert "by &lt;img" in page
    assert "default-src 'none'; img-src data:" in page
    sources = re.findall(r'src="([^"]*)"', page)
    assert sources and all(source.startswith("data:image/") for source in sources)
    assert not re.search(r"https?:|<script|<link|url\(", page)


def test_a_model_folder_and_photos_alone(made, tmp_path):
    folder = made.artifacts.model.rename(tmp_path / "alone")
    photos = made.evil.parent
    page = inspect(folder, [photos], count=2, html=Path("page.html"), group="stem").read_text()
    assert len(re.findall("second choice", page)) == 4  # twice the count: none is right or wrong
    assert "data-answer" not in page and "<b>stem</b>" in page
    assert inspect(folder, [made.evil], count=2, html=None, group=None) == (
        tmp_path / "reports" / "inspect.html"
    )


def test_an_unknown_group(made):
    with pytest.raises(UserError, match="'stages.9' is unknown. Did you mean 'stages"):
        shown(made, group="stages.9")


def test_a_photo_that_changed_or_went(made):
    made.evil.write_bytes(made.evil.read_bytes() + b" ")
    with pytest.raises(UserError, match="no longer the photo that was evaluated"):
        shown(made, count=50)
    made.evil.unlink()
    with pytest.raises(UserError, match="No such file.*--photos"):
        shown(made, count=50)


def test_predictions_of_another_model(made):
    other = ["blue", "green", "red"]
    predictions.write(made.artifacts.predictions, made.frame, other, made.probabilities)
    with pytest.raises(UserError, match="'green', the model does not"):
        shown(made)
    made.artifacts.predictions.write_bytes(b"PAR1 no")
    with pytest.raises(UserError, match="cannot be read"):
        shown(made)


def test_a_missing_library_is_named_with_its_remedy(made, monkeypatch):
    monkeypatch.setattr(inspection, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'graftwork\[inspect\]'"):
        shown(made)


def test_same_page_twice(made):
    assert shown(made) == shown(made)


@pytest.fixture
def vit_params(tiny_params):
    return tiny_params(
        "model.architecture=vit_tiny_patch16_224",
        "model.input_size=64",
        "+model.options.depth=3",
    )


def test_a_vision_transformer(vit_params, tmp_path):
    experiment, artifacts = tiny_experiment(vit_params, tmp_path / "project")
    torch.manual_seed(0)
    save(
        artifacts.model,
        classifier := experiment.model.build(3, None),
        experiment=experiment,
        input_spec=classifier.input_spec,
        classes=CLASSES,
        training={},
        pretrained=None,
        data_digest="d",
    )
    photos = [Path(path) for path in usable(artifacts)["path"][:2]]
    page = inspect(artifacts.root, photos, count=1, html=None, group=None).read_text()
    assert page.count('<div class="group">') == 4 and "192 channels<br>4 × 4" in page
    assert "<b>blocks.1</b>" in page and "Attention mixes places" in page
    assert "16 × 16 px over red, green and blue" in page
    assert len(re.findall("second choice", page)) == 2
