from __future__ import annotations

import json
from dataclasses import replace

import pytest

from graftwork.config.errors import UserError
from graftwork.data import manifest
from graftwork.data.preparing.preparation import prepare


def test_splits_are_made_where_there_are_none(photos, artifacts):
    photos.add("pear", None, 10)
    photos.add("apple", None, 20)
    photos.add("plum", None, 1)
    report = prepare(photos.dataset(), artifacts)
    assert report["classes"] == {
        "apple": {"train": 12, "val": 4, "test": 4},
        "pear": {"train": 6, "val": 2, "test": 2},
        "plum": {"train": 1, "val": 0, "test": 0},
    }
    assert report["made_splits"] == ["train", "val", "test"]
    assert "Made here, stratified by class: train, val, test." in report["findings"]
    assert "Fewer pictures than splits: plum." in report["findings"]


def test_no_val_on_request(photos, artifacts):
    for label in ("pear", "apple"):
        photos.add(label, "train", 4)
        photos.add(label, "test", 2)
    dataset = photos.dataset()
    splits = replace(dataset.splits, val_fraction=0.0)
    report = prepare(replace(dataset, splits=splits), artifacts)
    assert report["splits"] == {"train": 8, "val": 0, "test": 4}
    assert report["findings"] == ["No val split."]


def refused_without_test(photos, artifacts, capsys, **changes) -> str:
    with pytest.raises(UserError) as stop:
        prepare(photos.dataset(**changes), artifacts)
    assert "No test split." in capsys.readouterr().out, "the report was shown before"
    assert json.loads(artifacts.data_report.read_text())["splits"]["test"] == 0
    return str(stop.value)


def test_without_a_test_picture_nothing_is_trained(photos, artifacts, capsys):
    for label in ("pear", "apple"):
        photos.add(label, None, 4)
    none_set_aside = replace(photos.dataset().splits, test_fraction=0.0)
    message = refused_without_test(photos, artifacts, capsys, splits=none_set_aside)
    assert "test_fraction is 0" in message and "test_fraction=0.2" in message


def test_one_picture_a_class_cannot_be_tested(photos, artifacts, capsys):
    for label in ("pear", "apple"):
        photos.add(label)
    message = refused_without_test(photos, artifacts, capsys)
    assert "no class has a second picture" in message and "Add pictures" in message
    for label in ("pear", "apple"):
        photos.add(label, "train", 3)
    message = refused_without_test(photos, artifacts, capsys)
    assert "no class has a second picture without a split" in message


def test_groups_that_are_the_classes_cannot_be_tested(photos, artifacts, capsys):
    for label in ("pear", "apple"):
        photos.add(label, None, 4, group=label)
    message = refused_without_test(photos, artifacts, capsys)
    assert "every class has but one group" in message and "dataset.group_column" in message


def test_few_training_pictures_on_request(divided, artifacts):
    dataset = divided.dataset()
    prepare(dataset, artifacts)
    test_digest = manifest.digest(manifest.of_split(manifest.read(artifacts.manifest), "test"))
    few = replace(dataset, splits=replace(dataset.splits, train_per_class=1))
    report = prepare(few, artifacts)
    assert report["classes"]["apple"] == {"train": 1, "val": 1, "test": 2}
    assert report["unreadable"]["count"] == 0 and report["beyond_train_per_class"] == 6
    said = "6 training pictures left out by dataset.splits.train_per_class."
    assert report["findings"] == [said]
    frame = manifest.read(artifacts.manifest)
    assert manifest.digest(manifest.of_split(frame, "test")) == test_digest
    assert (frame["verdict"] == "ok").sum() == 8 and len(manifest.of_split(frame, "train")) == 2


def test_val_that_is_made_does_not_shrink_with_train(photos, artifacts):
    for label in ("pear", "apple"):
        photos.add(label, "train", 10)
        photos.add(label, "test", 2)
    dataset = photos.dataset()
    few = replace(dataset, splits=replace(dataset.splits, train_per_class=3))
    assert prepare(few, artifacts)["splits"] == {"train": 6, "val": 4, "test": 4}
