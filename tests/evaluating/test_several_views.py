"""Several views of a picture: their mean, gain, and what they cost."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import composed
from untrained_model import untrained

from graftwork.augmentations.fixed_views import fixed_views
from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.data.images import DecodedImages
from graftwork.evaluating import several_views
from graftwork.evaluating.scoring import measure
from graftwork.evaluating.several_views import Looked, views_entry
from graftwork.experiment import Experiment
from graftwork.settings.evaluation import Evaluation


@pytest.fixture
def prepared(tmp_path: Path, tiny_params: Callable[..., Any]) -> Callable[..., Any]:
    """`prepared(*overrides)`: an experiment on 15 test photos, with a model folder."""
    return lambda *overrides: untrained(
        tiny_params("extraction.batch_size=2", *overrides), tmp_path
    )


def by_hand(experiment: Any, artifacts: Any, frame: Any, count: int) -> np.ndarray:
    """The mean of the views' probabilities, view by view and picture by picture."""
    import torch

    from graftwork.model_folder import contents as model_folder

    classifier, _ = model_folder.load(artifacts.model)
    images = DecodedImages(artifacts, experiment.dataset)
    found = []
    with torch.inference_mode():
        for sha256, path in zip(frame["sha256"], frame["path"], strict=True):
            looks = [
                view(images.get(sha256, path), classifier.input_spec)
                for view in fixed_views(experiment.augmentation.mirrors)[:count]
            ]
            logits = classifier(classifier.normalise(torch.from_numpy(np.stack(looks))))
            found.append(torch.softmax(logits, 1).mean(0).numpy())
    return np.stack(found)


def test_the_mean_of_the_views(prepared: Callable[..., Any]) -> None:
    """Under several processes: test_probabilities.py."""
    wanted = ("trainer.accelerator=cpu", "evaluation.views=4", "augmentation=light")
    experiment, artifacts, frame = prepared(*wanted)
    found = several_views.looked(experiment, artifacts, frame)
    assert found.mean == pytest.approx(by_hand(experiment, artifacts, frame, 4), abs=1e-5)
    assert found.one == pytest.approx(by_hand(experiment, artifacts, frame, 1), abs=1e-5)
    assert np.abs(found.mean - found.one).max() > 1e-3
    assert (found.views, found.mirrors) == (4, ("left_right",))
    assert 0 < found.seconds_one < found.seconds


def test_one_view_is_what_it_was_and_mirrors_are_left_out_where_training_mirrors_nothing(
    prepared: Callable[..., Any],
) -> None:
    experiment, artifacts, frame = prepared("augmentation=none")
    assert experiment.evaluation.views == 1
    one = several_views.looked(experiment, artifacts, frame)
    assert one.mean is one.one and one.views == 1
    two = dataclasses.replace(experiment.evaluation, views=2)
    found = several_views.looked(dataclasses.replace(experiment, evaluation=two), artifacts, frame)
    assert found.mirrors == () and (found.one == one.one).all()
    unmirrored = by_hand(experiment, artifacts, frame, 2)  # the centre and a corner
    assert found.mean == pytest.approx(unmirrored, abs=1e-5)


def test_gain_and_cost_stand_side_by_side() -> None:
    from types import SimpleNamespace

    values = composed("evaluation.bootstrap_samples=200", "evaluation.views=2")["evaluation"]
    evaluation = build(values, Evaluation, "evaluation")
    experiment: Any = SimpleNamespace(evaluation=evaluation, seed=3)
    labels = np.arange(60) % 3
    chances = np.random.default_rng(0).dirichlet(np.ones(3), (2, 60)).astype(np.float32)
    mean = chances.mean(axis=0)
    found = views_entry(experiment, Looked(chances[0], mean, 2, (), 1.5, 4.0, None), labels)
    assert found is not None
    assert found["count"] == 2 and "mean of the views' probabilities" in found["space"]
    assert found["seconds"] == {"one": 1.5, "all": 4.0}
    assert found["images_per_second"] == {"one": 40.0, "all": 15.0}
    assert found["one"] == measure(evaluation, chances[0], labels, 3)
    gain = found["gain"]["top1"]
    difference = (mean.argmax(1) == labels).mean() - (chances[0].argmax(1) == labels).mean()
    assert gain["value"] == pytest.approx(difference) and gain["low"] <= gain["value"]
    # Paired: narrower than two separate intervals together.
    both = measure(evaluation, mean, labels, 3)["top1"], found["one"]["top1"]
    assert gain["high"] - gain["low"] < sum(each["high"] - each["low"] for each in both)
    assert views_entry(experiment, Looked(mean, mean, 1, (), 1.0, 1.0, None), labels) is None


def test_more_views_than_there_are_is_told_before_anything_runs(
    tiny_params: Callable[..., Any],
) -> None:
    with pytest.raises(UserError, match=r"evaluation.views: 11 is out.*1 to 10.*mirrors in no way"):
        Experiment.from_params(tiny_params("evaluation.views=11", "augmentation=none"))
    Experiment.from_params(tiny_params("evaluation.views=40", "augmentation=any_way_up"))
    with pytest.raises(UserError, match="evaluation.views: 21 .* 1 to 20"):
        Experiment.from_params(tiny_params("evaluation.views=21", "augmentation=standard"))
    with pytest.raises(UserError, match="evaluation.views: 0 is out of bounds"):
        Experiment.from_params(tiny_params("evaluation.views=0"))
