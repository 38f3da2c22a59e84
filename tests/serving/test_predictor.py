from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_experiment import tiny_experiment, usable

from graftwork.data.images import DecodedImages, UnreadableImage, eval_view
from graftwork.model_folder.saving import save
from graftwork.models.network.classifier import Classifier
from graftwork.serving import predictor as prediction
from graftwork.serving.predictor import Predictor

Made = tuple[Predictor, Classifier, Any, Any]


@pytest.fixture
def made(tmp_path: Path, tiny_params: Callable[..., dict[str, Any]]) -> Made:
    params = tiny_params("dataset.decoded_side=36")  # pictures are shrunk before they are seen
    experiment, artifacts = tiny_experiment(params, tmp_path / "project")
    torch.manual_seed(0)
    classifier = experiment.model.build(3, None)
    torch.nn.init.normal_(classifier.head.weight)
    save(
        artifacts.model,
        classifier,
        experiment=experiment,
        input_spec=classifier.input_spec,
        classes=["blue", "green", "red"],
        training={},
        pretrained=None,
        data_digest="d",
    )
    return Predictor(artifacts.model), classifier.eval(), experiment, artifacts


def test_encoded_pictures_give_what_evaluation_gives(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor, classifier, experiment, artifacts = made
    monkeypatch.setattr(prediction, "BATCH", 10)  # several batches, the last one smaller
    frame = usable(artifacts)
    images = DecodedImages(artifacts, experiment.dataset)
    pairs = zip(frame["sha256"], frame["path"], strict=True)
    views = np.stack([eval_view(images.get(*pair), classifier.input_spec) for pair in pairs])
    with torch.inference_mode():
        logits = classifier(classifier.normalise(torch.from_numpy(views)))
    found = predictor.probabilities([Path(path).read_bytes() for path in frame["path"]])
    assert found.shape == (48, 3) and found.dtype == np.float32
    assert np.allclose(found, logits.softmax(1).numpy(), atol=1e-5)
    assert np.allclose(found.sum(axis=1), 1, atol=1e-6)
    assert found.std(axis=0).max() > 0.01, "pictures are told apart"


def test_the_folder_is_all_it_needs(made: Made, tmp_path: Path) -> None:
    predictor, _, _, artifacts = made
    moved = tmp_path / "elsewhere"
    artifacts.model.rename(moved)
    file = io.BytesIO()
    Image.new("L", (90, 60), 200).save(file, "PNG")
    found = Predictor(str(moved)).probabilities([file.getvalue()])
    assert np.array_equal(found, predictor.probabilities([file.getvalue()]))
    assert Predictor(moved).classes == ["blue", "green", "red"]


def test_no_pictures_no_rows(made: Made) -> None:
    assert made[0].probabilities([]).shape == (0, 3)


def test_a_broken_picture_is_named_by_its_place(made: Made) -> None:
    file = io.BytesIO()
    Image.new("RGB", (40, 40)).save(file, "JPEG")
    with pytest.raises(UnreadableImage, match="picture 1: "):
        made[0].probabilities([file.getvalue(), b"no picture"])
