"""Photos without labels: examined like all others, and never among those that are learned."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import draw_photo

from graftwork.config.errors import UserError
from graftwork.data import manifest
from graftwork.data.datasets.base import Dataset
from graftwork.data.images import decoded_store
from graftwork.data.preparing.preparation import prepare
from graftwork.experiment import Experiment
from graftwork.storage.artifacts import Artifacts


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """Five photos without labels."""
    for number in range(5):
        draw_photo(tmp_path / "new" / f"{number}.jpg", (90, 90, 90), seed=500 + number)
    return tmp_path / "new"


@pytest.fixture
def dataset(tiny_params, new) -> Callable[..., Dataset]:
    def chosen(*overrides: str) -> Dataset:
        params = tiny_params(f"dataset.unlabelled={new}", *overrides)
        return Experiment.from_params(params).dataset

    return chosen


@pytest.fixture
def artifacts(tmp_path) -> Artifacts:
    return Artifacts.at(tmp_path / "experiment")


def verdicts(artifacts: Artifacts) -> dict[str, str]:
    frame = manifest.read(artifacts.manifest)
    new = frame[frame["split"] == "unlabelled"]
    return {Path(row.path).name: row.verdict for row in new.itertuples()}


def test_they_stand_in_the_manifest_and_in_no_table(dataset, artifacts, tmp_path):
    plain = Artifacts.at(tmp_path / "plain")
    without = prepare(dataset("dataset.unlabelled=null"), plain)
    report = prepare(dataset(), artifacts)
    frame = manifest.read(artifacts.manifest)
    new = manifest.of_split(frame, "unlabelled")
    assert set(zip(new["label"], new["class"], new["group"], strict=True)) == {(-1, "", "")}
    assert len(new) == 5 and (new["width"] > 0).all()
    assert all(sha256 in decoded_store(artifacts, dataset()) for sha256 in new["sha256"])
    assert len(manifest.usable(frame)) == 48 and len(manifest.seen(frame)) == 53
    assert artifacts.classes.read_bytes() == plain.classes.read_bytes()
    assert manifest.digest(frame) == manifest.digest(manifest.read(plain.manifest))
    assert report["unlabelled"]["usable"] == 5
    new_findings = ["5 photos without labels, of where the model will be used."]
    assert without["unlabelled"]["listed"] == 0
    same = {"unlabelled": 0, "findings": 0, "decoded": 0}
    assert {**report, **same} == {**without, **same}
    assert report["findings"] == without["findings"] + new_findings


def test_a_copy_of_a_labelled_picture_gives_way(dataset, artifacts, tiny_folder, new):
    for place in ("train/red/0.jpg", "test/blue/1.jpg"):
        shutil.copy(tiny_folder / place, new / place.replace("/", "_"))
    shutil.copy(new / "0.jpg", new / "again.jpg")
    report = prepare(dataset(), artifacts)
    copy = "copy of a picture with a label"
    assert verdicts(artifacts) | {
        "train_red_0.jpg": copy, "test_blue_1.jpg": copy, "again.jpg": "duplicate", "0.jpg": "ok",
    } == verdicts(artifacts)  # fmt: skip
    assert report["splits"] == {"train": 24, "val": 9, "test": 15}
    assert report["unlabelled"]["unreadable"]["count"] == 0
    assert report["duplicates"]["count"] == report["duplicates_across_splits"]["count"] == 0
    assert report["conflicting_classes"]["count"] == 0
    assert (report["unlabelled"]["usable"], report["unlabelled"]["copies"]["count"]) == (5, 3)
    assert any("3 copies of a picture that is there already" in f for f in report["findings"])


def test_those_that_cannot_be_read_are_listed_apart(dataset, artifacts, new):
    (new / "bad.jpg").write_bytes(b"<html>")
    (new / "raw.jxl").touch()
    report = prepare(dataset(), artifacts)
    assert verdicts(artifacts)["bad.jpg"] == "a web page, not an image"
    assert report["unreadable"]["count"] == 0
    assert Path(report["unlabelled"]["unreadable"]["files"][0]["path"]) == new / "bad.jpg"
    about = "Among the photos without labels: "
    assert report["findings"][-2:] == [
        f"{about}1 file cannot be used.",
        f"{about}1 file of a kind that is not read: .jxl (convert it to JPEG).",
    ]
    with pytest.raises(UserError, match="1 of 54 files cannot be read"):
        prepare(dataset("dataset.unreadable=stop"), artifacts)


def test_none_that_counts_is_an_error(dataset, artifacts, tiny_folder, new):
    for photo in new.iterdir():
        photo.unlink()
    shutil.copy(tiny_folder / "train/red/0.jpg", new / "0.jpg")
    (new / "1.jpg").touch()
    with pytest.raises(UserError) as stop:
        prepare(dataset(), artifacts)
    message = str(stop.value)
    assert message.startswith("dataset.unlabelled: none of 2 photos counts:")
    assert "0.jpg: copy of a picture with a label" in message and "1.jpg: empty file" in message
    assert "dataset.unlabelled=null" in message


def test_splits_are_made_of_the_labelled_ones_alone(dataset, artifacts, tiny_folder, new, tmp_path):
    for name in ("blue", "red"):  # without splits of their own
        shutil.copytree(tiny_folder / "train" / name, tmp_path / "undivided" / name)
    chosen = dataset(f"dataset.path={tmp_path / 'undivided'}")
    report = prepare(chosen, artifacts)
    assert sum(report["splits"].values()) == 16 and len(verdicts(artifacts)) == 5
    assert json.loads(artifacts.classes.read_text()) == ["blue", "red"]


def test_labelled_ones_that_all_fail_are_not_made_up_for(dataset, artifacts, tiny_folder):
    for photo in tiny_folder.rglob("*.jpg"):
        photo.write_bytes(b"x")
    with pytest.raises(UserError, match="none of 48 files can be read"):
        prepare(dataset(), artifacts)


def test_another_job_of_the_process_notices_a_change_among_them(dataset, artifacts, new):
    assert prepare(dataset(), artifacts)["unlabelled"]["usable"] == 5
    draw_photo(new / "one_more.jpg", (90, 90, 90), seed=600)
    assert prepare(dataset(), artifacts)["unlabelled"]["usable"] == 6
    (new / "x.jxl").touch()
    assert prepare(dataset(), artifacts)["unlabelled"]["passed_over"]["kinds"] == {".jxl": 1}
