"""What is seen of photos before a network is chosen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from conftest import composed
from sklearn.linear_model import LogisticRegression

from graftwork.advising import null_models, photos
from graftwork.data.folds import NEVER, stratified
from graftwork.experiment import Experiment
from graftwork.transfer.parts import Examples

LABELS = np.arange(60) % 3


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Noise whose colour tells the class; of the first class, twice as many."""
    random = np.random.default_rng(0)
    colours = np.array([(90, 60, 60), (60, 90, 60), (60, 60, 90)])[LABELS]
    noise = random.normal(0, 40, (60, 64, 64, 3))
    return np.clip(noise + colours[:, None, None], 0, 255).astype(np.uint8)


def test_null_models_are_judged_on_pictures_that_they_had_not_seen(images: np.ndarray) -> None:
    fold = stratified(LABELS, 3, 0)
    fold[0] = NEVER
    head = Experiment.from_params(composed("transfer=linear_probe")).transfer.head_init
    examples = Examples(np.zeros((60, 1), np.float32), LABELS, 3, fold, 0)
    found = null_models.null_answers(head, examples, images)
    assert np.nanmean(found[null_models.COLOURS]) == 1.0
    assert all(np.isnan(right[0]) for right in found.values())
    assert np.nanmean(found[null_models.MAJORITY]) == pytest.approx(1 / 3, abs=0.05)
    features = null_models.small_pixels(images)
    expected = np.zeros(60)
    for out, rest in examples.parts():
        model = LogisticRegression(C=1e-1, max_iter=500)
        expected[out] = model.fit(features[~out], rest.labels).predict(features[out])
    right = (expected == LABELS)[1:].mean()
    assert np.nanmean(found[null_models.SMALL]) == pytest.approx(right, abs=0.1)


def test_a_histogram_counts_colours_and_small_pictures_are_means(images: np.ndarray) -> None:
    histogram = null_models.colour_histogram(images)
    assert (histogram**2).sum(axis=1) == pytest.approx(np.ones(60))
    red = np.full((1, 64, 64, 3), (255, 0, 0), np.uint8)
    assert null_models.colour_histogram(red).argmax() == 5 * 36
    small = null_models.small_pixels(images)
    assert small.shape == (60, 768)
    assert small[7, :3] == pytest.approx(images[7, :4, :4].mean(axis=(0, 1)) / 255, abs=1e-5)


def test_facts_of_photos() -> None:
    rows = pd.DataFrame(
        {"label": [0, 0, 0, 1, 1], "width": [10, 20, 30, 40, 50], "height": [90] * 5}
    )
    features = np.array([[1, 0], [1, 0.01], [0, 1], [1, 0], [0, 1]], np.float32)
    many, large, alike = photos.about(rows, features, 0.97, 100)
    assert many == "5 labelled photos of 2 classes, 2 to 3 of each."
    assert "are 30 px at the median (12 to 48)" in large
    assert alike.startswith("2 of 5 are nearly the same")  # across classes nothing counts


def test_similarity_to_the_source() -> None:
    weight, bias = 20 * np.eye(4), np.zeros(4)
    near = photos.similarity(np.eye(4, dtype=np.float32), weight, bias)
    assert "of 4 classes answers with 0\u202f%" in near and near.endswith("distance of 0.00")
    far = photos.similarity(np.ones((3, 4), np.float32), weight, bias)
    assert "100\u202f% of the entropy of a guess" in far and far.endswith("distance of 0.50")
