"""Answers of other networks that are given again: values by hand, what is stored, whole runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import composed
from small_network import network
from tiny_experiment import tiny_experiment
from tiny_transfer import draw_photos, save_weights, transfer_params
from torch import nn

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.model_folder import contents as model_folder
from graftwork.models.base import Model, WeightsFile
from graftwork.process.vision import timm
from graftwork.storage.array_store import ArrayStore
from graftwork.storage.artifacts import Artifacts
from graftwork.transfer.bound.answers import Answers, kept
from graftwork.transfer.bound.distillation import (
    CoTuned,
    NotForgotten,
    TaughtByAnother,
    relation_of,
    softened_divergence,
)
from graftwork.transfer.bound.penalty import Outputs
from graftwork.transfer.bound.resting import Resting, first_network
from graftwork.transfer.parts import Moment
from pipelines import finetune

IMAGES = torch.randint(
    0, 256, (6, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])
NOW = Moment.of_epoch(0, 1)


def outputs(features: torch.Tensor, logits: torch.Tensor, targets: torch.Tensor) -> Outputs:
    return Outputs(features, features, logits, targets, IMAGES[: len(logits)])


class Fixed(nn.Module):
    """Gives these logits, and counts how many views it was shown."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits, self.shown = logits, 0

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        self.shown += len(views)
        return self.logits[: len(views)]


def answers(logits: torch.Tensor) -> Answers:
    return Answers(Fixed(logits), None, 4)  # type: ignore[arg-type]


# values
def test_distillation_by_hand() -> None:
    """One picture, T = 2: logits that are ln 9 apart are a share of 3/4 then."""
    student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[np.log(9.0), 0.0]]).float()
    expected = 4 * (0.75 * np.log(0.75 / 0.5) + 0.25 * np.log(0.25 / 0.5))
    found = softened_divergence(student, teacher, 2.0)
    assert found.item() == pytest.approx(expected, rel=1e-5)
    twice = softened_divergence(student.repeat(2, 1), torch.cat([teacher, student]), 2.0)
    assert twice.item() == pytest.approx(expected / 2, rel=1e-5)  # the mean over the batch
    assert softened_divergence(teacher, teacher, 3.0).item() == pytest.approx(0, abs=1e-6)


def test_a_teachers_classes_are_taken_by_name() -> None:
    said = torch.tensor([[1.0, 2.0, 3.0]])
    penalty = TaughtByAnother(answers(said), order=[2, 0, 1], weight=0.5, temperature=1.0)
    same = outputs(torch.zeros(1, 4), torch.tensor([[3.0, 1.0, 2.0]]), LABELS[:1])
    assert penalty(same, NOW).item() == pytest.approx(0, abs=1e-6) and penalty.weight == 0.5
    assert penalty(outputs(torch.zeros(1, 4), said, LABELS[:1]), NOW).item() > 0.1


def test_the_relation_is_the_mean_of_what_the_source_says() -> None:
    p = torch.tensor([[0.5, 0.5, 0.0], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4], [0.2, 0.2, 0.6]])
    batches = [(IMAGES[:4], torch.tensor([0, 2, 2, 2]))]
    found = relation_of(answers((p + 1e-12).log()), batches, num_classes=4)
    torch.testing.assert_close(found[0], p[0])
    torch.testing.assert_close(found[2], p[1:].mean(0))
    torch.testing.assert_close(found[1], torch.full((3,), 1 / 3))  # no picture of it
    torch.testing.assert_close(found.sum(1), torch.ones(4))


def test_co_tuning_by_hand() -> None:
    relation = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    head = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        head.weight.copy_(torch.eye(2))
    penalty = CoTuned(relation, head, 2.3)
    features = torch.tensor([[np.log(3.0), 0.0], [0.0, 0.0]]).float()  # 3/4 and 1/4; 1/2 and 1/2
    first = -(0.9 * np.log(0.75) + 0.1 * np.log(0.25))
    hard = outputs(features, features, torch.tensor([0, 1]))
    assert penalty(hard, NOW).item() == pytest.approx((first + np.log(2)) / 2, rel=1e-5)
    mixed = torch.tensor([[0.5, 0.5], [0.0, 1.0]])
    wanted = 0.5 * (relation[0] + relation[1])
    both = -(wanted[0] * np.log(0.75) + wanted[1] * np.log(0.25)).item()
    found = penalty(outputs(features, features, mixed), NOW)
    assert found.item() == pytest.approx((both + np.log(2)) / 2, rel=1e-5)
    penalty.freeze([("a",), ("b",)], [False, False])
    assert penalty(hard, NOW) is None and not head.weight.requires_grad
    penalty.freeze([("a",), ("b",)], [False, True])
    assert penalty(hard, NOW) is not None and head.weight.requires_grad


def test_nothing_is_forgotten_at_the_start() -> None:
    classifier = network("tiny_cnn")
    before = Answers(first_network(classifier), None, 6)
    before.network.network.float()
    penalty = NotForgotten(before, classifier.head, 1.0, 2.0)
    features = classifier.features(classifier.normalise(IMAGES))
    found = penalty(outputs(features, classifier.head(features), LABELS), NOW)
    assert found.item() == pytest.approx(0, abs=1e-3)  # bf16 answers on some machines
    other = penalty(outputs(features * 3, classifier.head(features), LABELS), NOW)
    assert other.item() > 10 * found.item()


# what is stored
def test_views_that_come_again_are_answered_once(tmp_path: Path) -> None:
    fixed, folder = Resting(network("tiny_cnn")), tmp_path / "answers"
    alone = Answers(fixed, None, 4)(IMAGES[:4])
    with kept(Answers(fixed, ArrayStore(folder, "float32"), 4)) as first:
        found = first(IMAGES)
        assert torch.equal(first(IMAGES), found) and len(first.new) == 6
        torch.testing.assert_close(found[:4], alone)
    counting = Fixed(torch.zeros(4, 3))
    with kept(Answers(counting, ArrayStore(folder, "float32"), 4)) as again:  # type: ignore[arg-type]
        assert torch.equal(again(IMAGES.flip(0)), found.flip(0)) and counting.shown == 0
        mixed = IMAGES.float()
        again(mixed[:4])
        assert counting.shown == 4 and not again.new  # mixed views never come again
    assert len(ArrayStore(folder, "float32")) == 6


def test_an_answer_does_not_depend_on_what_was_stored_before(tmp_path: Path) -> None:
    """Batches are of one size: others may be summed in another order."""
    counting = Fixed(torch.zeros(4, 3))
    Answers(counting, ArrayStore(tmp_path / "none", "float32"), 4)(IMAGES)  # type: ignore[arg-type]
    assert counting.shown == 8
    fixed = Resting(network("tiny_cnn"))
    one = Answers(fixed, ArrayStore(tmp_path / "one", "float32"), 4)
    other = Answers(fixed, ArrayStore(tmp_path / "other", "float32"), 4)
    other(IMAGES[3:5])
    assert torch.equal(one(IMAGES), other(IMAGES))


def test_a_teacher_of_another_size_sees_the_views_resized() -> None:
    teacher = Resting(network("tiny_cnn", size=64))
    assert teacher(IMAGES).shape == (6, 3)
    assert not any(part.training for part in teacher.train().modules())


# the source classifier
def model(*overrides: str) -> Model:
    return build(composed("model=tiny_cnn", *overrides)["model"], Model, "model")  # type: ignore[type-abstract]


def weights(path: Path) -> WeightsFile:
    return WeightsFile(path, "by_name", "model.weights")


def test_the_source_classifier_is_the_files(tmp_path: Path) -> None:
    save_weights(tmp_path / "w.pth")
    found = model().pretrained_whole(weights(tmp_path / "w.pth")).eval()
    plain = timm.create_model("tiny_cnn").eval()
    plain.load_state_dict(torch.load(tmp_path / "w.pth", weights_only=True))
    pixels = found.normalise(IMAGES)
    torch.testing.assert_close(found(pixels), plain(pixels))
    assert found(pixels).shape == (6, 10)


def test_a_source_classifier_may_have_any_number_of_classes(tmp_path: Path) -> None:
    other = timm.create_model("tiny_cnn", num_classes=17)
    torch.save(other.state_dict(), tmp_path / "w.pth")
    found = model().pretrained_whole(weights(tmp_path / "w.pth"))
    assert torch.equal(found.head.weight, other.fc.weight)


def test_what_has_no_source_classifier_is_refused(tmp_path: Path) -> None:
    save_weights(tmp_path / "w.pth")
    with pytest.raises(UserError, match=r"reads other features.*model.pooling=default"):
        model("model.pooling=max").pretrained_whole(weights(tmp_path / "w.pth"))
    with pytest.raises(UserError, match=r"reads the whole network.*cut_after=null"):
        model("model.cut_after=stages.0").pretrained_whole(weights(tmp_path / "w.pth"))
    tensors = torch.load(tmp_path / "w.pth", weights_only=True)
    torch.save({n: t for n, t in tensors.items() if not n.startswith("fc.")}, tmp_path / "w.pth")
    with pytest.raises(UserError, match=r"w\.pth holds no classifier.*another model"):
        model().pretrained_whole(weights(tmp_path / "w.pth"))


# whole runs
QUICK = ("selection=none", "trainer.precision=fp32", "transfer.epochs=1", "transfer.least_steps=0")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("project")
    draw_photos(place / "photos", {"train": 8, "test": 2})
    save_weights(place / "weights.pth")
    return place


def params(project: Path, *overrides: str) -> dict[str, Any]:
    return transfer_params(project / "photos", project / "weights.pth", *QUICK, *overrides)


def finetuned(project: Path, name: str, *overrides: str) -> Artifacts:
    experiment, artifacts = tiny_experiment(params(project, *overrides), project / name, project)
    finetune.run(experiment, artifacts)
    return artifacts


@pytest.fixture(scope="module")
def teacher(project: Path) -> Artifacts:
    return finetuned(project, "teacher", "transfer=fine_tune", "seed=1")


def tensors(artifacts: Artifacts) -> dict[str, np.ndarray]:
    return model_folder.read_tensors(artifacts.model, model_folder.read_contract(artifacts.model))


def stored(project: Path) -> dict[str, int]:
    folders = (project / "store" / "answers").glob("*")
    return {
        folder.name: len(ArrayStore(folder, "float32")) for folder in folders if folder.is_dir()
    }


def test_a_run_is_taught_and_says_by_whom(project: Path, teacher: Artifacts) -> None:
    distil = ("transfer=distil", f"transfer.penalties.distil.teacher={teacher.root}")
    before = stored(project)
    first, again = (finetuned(project, name, *distil) for name in ("first", "again"))
    new = {key: count for key, count in stored(project).items() if key not in before}
    assert list(new.values()) == [24], "each still view once, in both runs"
    for name, tensor in tensors(first).items():
        np.testing.assert_array_equal(tensors(again)[name], tensor, err_msg=name)
    plain = finetuned(project, "plain", "transfer=fine_tune")
    assert any((tensors(plain)[n] != t).any() for n, t in tensors(first).items())
    assert pd.read_csv(first.history)["train/distil_loss"].iloc[-1] > 0
    said = json.loads((first.model / "model.json").read_text())["training"]["penalties"]
    known = model_folder.read_contract(teacher.model).weights_sha256
    assert said["distil"] == {"teacher": str(teacher.root), "weights_sha256": known}


def test_a_teacher_that_is_none_is_refused_at_once(project: Path, teacher: Artifacts) -> None:
    with pytest.raises(UserError, match=r"penalties\.distil\.teacher: no value.*distil\.teacher="):
        Experiment.from_params(params(project, "transfer=distil"))
    wrong = f"transfer.penalties.distil.teacher={project / 'teachr'}"
    with pytest.raises(UserError, match=r"teachr holds no trained model\. Near it: teacher.*runs/"):
        Experiment.from_params(params(project, "transfer=distil", wrong))


def test_a_teacher_of_other_classes_is_refused_before_time_is_spent(
    project: Path, teacher: Artifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    distil = ("transfer=distil", f"transfer.penalties.distil.teacher={teacher.root}")
    experiment, artifacts = tiny_experiment(params(project, *distil), project / "other", project)
    artifacts.classes.write_text(json.dumps(["blue", "green", "yellow"]))
    monkeypatch.setattr(finetune, "held_out", None)
    with pytest.raises(UserError, match=r"Lacking there: yellow; only there: red\."):
        finetune.run(experiment, artifacts)


@pytest.mark.usefixtures("forked_processes")
def test_two_processes_equal_one_with_every_penalty(project: Path, teacher: Artifacts) -> None:
    names = ("l2_sp", "delta", "distil", "lwf", "co_tuning")
    chosen = [f"+transfer/penalty@transfer.penalties.{name}={name}" for name in names]
    more = (
        "transfer=fine_tune", *chosen, "transfer.penalties.delta.attention=false",
        f"transfer.penalties.distil.teacher={teacher.root}", "transfer.penalties.delta.layers=2",
    )  # fmt: skip
    one = finetuned(project, "one", *more)
    two = finetuned(project, "two", *more, "trainer.processes=2")
    for name, tensor in tensors(one).items():
        np.testing.assert_allclose(tensors(two)[name], tensor, atol=2e-4, err_msg=name)
    rows = [pd.read_csv(found.history).iloc[-1] for found in (one, two)]
    for name in names:
        single, double = (float(row[f"train/{name}_loss"]) for row in rows)
        assert 0 < single == pytest.approx(double, rel=2e-2), name


def test_attention_is_measured_in_a_run(project: Path) -> None:
    """LP-FT with DELTA as it is named, whose head is the probe; and with unfreezing by the guard's
    leave."""
    found = finetuned(project, "delta", "transfer=delta", "transfer.penalties.delta.layers=1")
    assert pd.read_csv(found.history)["train/delta_loss"].iloc[-1] > 0
