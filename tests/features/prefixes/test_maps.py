from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from finished_project import DAMAGES
from tiny_experiment import tiny_experiment, usable

from graftwork.data.images import DecodedImages
from graftwork.experiment import Experiment
from graftwork.features.prefixes import maps as module
from graftwork.features.prefixes.maps import StoredMaps, TooLarge, stored_maps
from graftwork.features.prefixes.network import FrozenPrefix
from graftwork.features.prefixes.views import View, Views, repeated
from graftwork.models.network.classifier import Classifier
from graftwork.models.network.splitting import Split, split
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import DamageWarning
from graftwork.training.attempt import new_classifier

PHOTOS = 48  # of the tiny folder


class Place:
    """tiny_cnn, frozen up to its first stage, and photos to run."""

    def __init__(self, experiment: Experiment, artifacts: Artifacts) -> None:
        self.experiment, self.artifacts = experiment, artifacts
        self.frame = usable(artifacts)
        self.classifier: Classifier = new_classifier(experiment, artifacts, None, 3)
        self.classifier.freeze([False, False, True], "frozen")
        self.split: Split = split(self.classifier)
        spec = self.classifier.input_spec
        self.views = Views(experiment.augmentation, spec, experiment.seed, 2)

    @property
    def prefix(self) -> FrozenPrefix:
        return FrozenPrefix(self.experiment, self.artifacts, self.classifier, self.split)

    def stored(self, wanted: list[View]) -> StoredMaps:
        return stored_maps(self.experiment, self.artifacts, self.prefix, wanted, self.views)

    def eager(self, wanted: list[View]) -> torch.Tensor:
        images = DecodedImages(self.artifacts, self.experiment.dataset)
        seen = [self.views(images.get(view.sha256, view.path), view) for view in wanted]
        with torch.no_grad():
            pixels = self.classifier.eval().normalise(torch.from_numpy(np.stack(seen)))
            return self.split.prefix(pixels)


@pytest.fixture
def place(tmp_path: Path, tiny_params: Callable[..., dict[str, Any]]) -> Callable[..., Place]:
    def make(*overrides: str) -> Place:
        common = ("extraction.batch_size=5", "augmentation=light", "extraction.engine=torch")
        params = tiny_params(*common, *overrides)
        return Place(*tiny_experiment(params, tmp_path / "project"))

    return make


@pytest.mark.parametrize("engine", ["torch", "openvino"])
@pytest.mark.parametrize(("precision", "near"), [("fp32", 1e-5), ("bf16", 2e-2)])
def test_stored_maps_are_those_of_the_eager_prefix(
    place: Callable[..., Place], engine: str, precision: str, near: float
) -> None:
    made = place(f"extraction.engine={engine}", f"extraction.precision={precision}")
    wanted = [*made.views.of(made.frame[:7], 1), *made.views.still(made.frame[7:9])]
    found, expected = made.stored(wanted).batch([view.key for view in wanted]), made.eager(wanted)
    assert found.dtype == (torch.float32 if precision == "fp32" else torch.bfloat16)
    assert found.is_contiguous(memory_format=torch.channels_last), "as the next layer wants it"
    error = (found.float() - expected).abs().max() / expected.abs().max()
    assert error < near
    assert made.stored(wanted).bytes_each == 32 * 8 * 8 * (4 if precision == "fp32" else 2)


def test_what_is_there_is_not_run_again(
    place: Callable[..., Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, ran, plain = place(), [], module.stream

    def counted(engine: Any, todo: list[View], *given: Any, **named: Any) -> Any:
        ran.append(len(todo))
        return plain(engine, todo, *given, **named)

    monkeypatch.setattr(module, "stream", counted)
    first = [*made.views.of(made.frame[:7], 0)]
    made.stored([*first, *first])
    made.stored([*first, *made.views.of(made.frame[:7], 1)])
    made.stored([*made.views.of(made.frame[:7], 1)])
    made.stored([*made.views.still(made.frame[:3]), *made.views.still(made.frame[:3])])
    assert ran == [7, 7, 3]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_maps_are_run_again(place: Callable[..., Place], damage: str) -> None:
    made = place()
    wanted = [*made.views.of(made.frame[:4], 0)]
    keys = [view.key for view in wanted]
    before = made.stored(wanted).batch(keys)
    DAMAGES[damage](next(made.artifacts.prefixes.glob("*/*.bin")))
    with pytest.warns(DamageWarning):
        found = made.stored(wanted)
    assert torch.equal(found.batch(keys), before)
    assert torch.equal(made.stored(wanted).batch(keys), before)


def test_views_are_what_training_would_see_in_that_epoch(place: Callable[..., Place]) -> None:
    made = place()
    images = DecodedImages(made.artifacts, made.experiment.dataset)
    augment = made.experiment.augmentation.build(made.classifier.input_spec, made.experiment.seed)
    for epoch, row in ((0, 0), (1, 4)):
        view = [*made.views.of(made.frame, epoch)][row]
        picture = images.get(view.sha256, view.path)
        assert np.array_equal(made.views(picture, view), augment(picture, epoch, row))


def test_a_view_is_known_by_its_picture_number_row_policy_and_seed(
    place: Callable[..., Place],
) -> None:
    made = place()
    spec = made.classifier.input_spec
    policies = [made.experiment.augmentation, place("augmentation=strong").experiment.augmentation]
    keys = {
        view.key
        for policy in policies
        for seed in (0, 1)
        for number in (0, 1)
        for view in Views(policy, spec, seed, 2).of(made.frame[:5], number)
    }
    assert len(keys) == 2 * 2 * 2 * 5
    again = {view.key for view in Views(policies[0], spec, 0, 9).of(made.frame[:5], 0)}
    assert again < keys, "how many views there are says nothing of one"
    moved = made.frame[:5][::-1]
    other_rows = {view.key for view in made.views.of(moved, 0)} - again
    assert len(other_rows) == 4, "all but the one in the middle stand in another row"
    still = place("augmentation=none")
    assert [view.key for view in still.views.of(moved, 3)] == list(moved["sha256"])


def test_views_return() -> None:
    assert [repeated(epoch, 5, 10, 3) for epoch in range(4)] == [(0, 5), (1, 5), (2, 5), (0, 5)]
    assert repeated(0, 25, 10, 3) == (2, 5), "a picture that an epoch shows again has another view"


def test_other_values_in_the_prefix_are_another_one(place: Callable[..., Place]) -> None:
    made = place()
    before = made.prefix.key
    with torch.no_grad():
        made.classifier.backbone.stages[1].conv.weight += 1
    assert made.prefix.key == before, "what is behind the boundary counts for nothing"
    with torch.no_grad():
        made.classifier.backbone.stem.bn.running_mean += 1
    assert made.prefix.key != before
    assert made.prefix.key.partition("-")[0] == before.partition("-")[0]


def test_what_takes_too_much_is_not_stored(
    place: Callable[..., Place], capsys: pytest.CaptureFixture[str]
) -> None:
    each = 32 * 8 * 8 * 4 / 1e9
    made = place("extraction.precision=fp32", f"extraction.max_gb={48.5 * each}")
    made.stored([*made.views.of(made.frame, 0)])
    assert "48 views, 32 x 8 x 8 behind stages.0, take" in capsys.readouterr().err
    both = [view for number in (0, 1) for view in made.views.of(made.frame, number)]
    with pytest.raises(TooLarge, match="96 views, .* and extraction.max_gb is 0.000397"):
        made.stored(both)
    made.stored([*made.views.of(made.frame, 0)])  # nothing new: nothing is refused
