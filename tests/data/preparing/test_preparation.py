from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from graftwork.config.errors import UserError
from graftwork.data import manifest
from graftwork.data.datasets.base import Dataset, Record, Splits
from graftwork.data.images import DecodedImages, decode, decoded_store
from graftwork.data.preparing import data_report
from graftwork.data.preparing.preparation import prepare
from graftwork.storage.artifacts import Artifacts


@dataclass(frozen=True)
class Listed(Dataset):
    """A data set that lists what a test gives it."""

    listed: list[Record] = field(default_factory=list)

    def download(self, raw: Path, downloads: Path) -> None: ...

    def records(self, raw: Path) -> Iterator[Record]:
        return iter(self.listed)


class Photos:
    """Draws photos and lists them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.records = folder, list[Record]()

    def add(self, label: str, split: str | None = None, count: int = 1, **options) -> list[Path]:
        return [self._draw(label, split, **options) for _ in range(count)]

    def _draw(self, label, split, *, content: bytes | None = None, group=None, side=20) -> Path:
        path = self.folder / f"{len(self.records):03d}.png"
        if content is None:
            noise = np.random.default_rng(len(self.records)).integers(0, 256, (side, side + 4, 3))
            Image.fromarray(noise.astype(np.uint8)).save(path)
        else:
            path.write_bytes(content)
        self.records.append(Record(path, label, split, group))
        return path

    def dataset(self, **changes) -> Listed:
        splits = Splits(val_fraction=0.2, test_fraction=0.2, seed=0, train_per_class=None)
        values = {
            "name": "listed",
            "watched": ".",
            "decoded_side": 16,
            "decoded_budget_gib": 1.0,
            "max_pixels": 10**6,
            "unreadable": "skip",
            "unlabelled": None,
            "unlabelled_watched": {},
            "splits": splits,
            **changes,
        }
        return Listed(**values, listed=self.records)


@pytest.fixture
def photos(tmp_path) -> Photos:
    (tmp_path / "photos").mkdir()
    return Photos(tmp_path / "photos")


@pytest.fixture
def divided(photos) -> Photos:
    """Two classes in three splits: 4, 1 and 2 photos each."""
    for split, count in (("train", 4), ("val", 1), ("test", 2)):
        for label in ("pear", "apple"):
            photos.add(label, split, count)
    return photos


@pytest.fixture
def artifacts(tmp_path) -> Artifacts:
    return Artifacts.at(tmp_path / "experiment")


def verdicts(artifacts: Artifacts) -> dict[str, str]:
    frame = manifest.read(artifacts.manifest)
    return {Path(row.path).name: row.verdict for row in frame.itertuples()}


def test_what_prepare_writes(divided, artifacts):
    report = prepare(divided.dataset(), artifacts)
    frame = manifest.read(artifacts.manifest)
    assert json.loads(artifacts.classes.read_text()) == ["apple", "pear"]
    assert json.loads(artifacts.data_report.read_text()) == report
    assert len(frame) == 14 and set(frame["verdict"]) == {"ok"}
    assert (frame["label"] == frame["class"].map({"apple": 0, "pear": 1})).all()
    assert (frame["width"] == 24).all() and (frame["height"] == 20).all()
    assert frame["path"].map(os.path.isabs).all()
    assert report["splits"] == {"train": 8, "val": 2, "test": 4}
    assert report["classes"]["pear"] == {"train": 4, "val": 1, "test": 2}
    assert report["findings"] == [] and report["made_splits"] == []
    assert report["decoded"]["pictures"] == 14


def test_every_picture_is_kept_decoded_once(divided, artifacts):
    dataset = divided.dataset()
    prepare(dataset, artifacts)
    store = decoded_store(artifacts, dataset)
    for row in manifest.read(artifacts.manifest).itertuples():
        expected = decode(Path(row.path), 10**6, side=16)
        assert expected.shape == (16, 19, 3) and np.array_equal(store[row.sha256], expected)
        assert np.array_equal(DecodedImages(artifacts, dataset).get(row.sha256, ""), expected)


def test_the_second_time_nothing_is_decoded(divided, artifacts, monkeypatch):
    first = prepare(divided.dataset(), artifacts)
    written = artifacts.manifest.read_bytes(), artifacts.data_report.read_bytes()
    monkeypatch.setattr("graftwork.data.preparing.examination.examine", None)
    assert prepare(divided.dataset(), artifacts) == first
    assert (artifacts.manifest.read_bytes(), artifacts.data_report.read_bytes()) == written


def test_beyond_the_budget_nothing_is_kept(divided, artifacts):
    picture = 16 * 19 * 3
    dataset = divided.dataset(decoded_budget_gib=3.5 * picture / 2**30)
    for _ in range(2):
        report = prepare(dataset, artifacts)
        assert report["usable"] == 14 and report["decoded"]["pictures"] == 3
        assert len(decoded_store(artifacts, dataset)) == 3
    row = manifest.of_split(manifest.read(artifacts.manifest), "test").iloc[-1]
    images = DecodedImages(artifacts, dataset)
    assert images.get(row.sha256, row.path).shape == (16, 19, 3)


def test_unreadable_files_are_listed_with_reasons_and_left_out(divided, artifacts):
    divided.add("pear", "train", content=b"")
    divided.add("pear", "train", content=b"<html>")
    divided.add("apple", "test", content=b"<html>")
    divided.records.append(Record(divided.folder / "gone.png", "pear", "train"))
    divided.add("apple", "train", side=1200)
    report = prepare(divided.dataset(), artifacts)
    assert verdicts(artifacts) | {
        "014.png": "empty file",
        "015.png": "a web page, not an image",
        "016.png": "a web page, not an image",
        "gone.png": "cannot be read: No such file or directory",
        "018.png": "1204 x 1200 px are more than max_pixels=1000000",
    } == verdicts(artifacts)
    assert report["usable"] == 14 and report["unreadable"]["count"] == 5
    assert "5 files cannot be used." in report["findings"]
    assert {"014.png", "gone.png"} <= {Path(f["path"]).name for f in report["unreadable"]["files"]}


def test_unreadable_stop_names_them(divided, artifacts):
    divided.add("pear", "train", 12, content=b"")
    with pytest.raises(UserError) as stop:
        prepare(divided.dataset(unreadable="stop"), artifacts)
    message = str(stop.value)
    assert "12 of 26 files cannot be read" in message and "014.png: empty file" in message
    assert "and 2 more" in message and "dataset.unreadable=skip" in message
    assert not artifacts.manifest.exists()


def test_damage_that_only_decoding_shows_holds_for_every_copy(divided, artifacts):
    whole = divided.folder.joinpath("000.png").read_bytes()
    divided.add("pear", "train", 3, content=whole[:-400])
    prepare(divided.dataset(), artifacts)
    prepare(divided.dataset(), artifacts)
    found = [verdicts(artifacts)[f"{index:03d}.png"] for index in (14, 15, 16)]
    assert found[0] not in ("ok", "duplicate") and len(set(found)) == 1


def test_nothing_readable_is_an_error(photos, artifacts):
    photos.add("pear", "train", 2, content=b"x")
    with pytest.raises(UserError, match=r"none of 2 files can be read:\s+/.*000.png: not an image"):
        prepare(photos.dataset(), artifacts)
    with pytest.raises(UserError, match="lists no pictures"):
        prepare(Photos(photos.folder).dataset(), artifacts)


def test_copies_count_once_and_never_in_two_splits(divided, artifacts):
    of_train, of_test = (
        divided.folder.joinpath(name).read_bytes() for name in ("000.png", "010.png")
    )
    divided.add("pear", "train", content=of_train)
    divided.add("pear", "train", content=of_test)
    report = prepare(divided.dataset(), artifacts)
    assert verdicts(artifacts)["014.png"] == "duplicate"
    assert verdicts(artifacts)["015.png"] == "duplicate of a picture in test"
    assert (report["duplicates"]["count"], report["duplicates_across_splits"]["count"]) == (1, 1)
    assert report["splits"] == {"train": 8, "val": 2, "test": 4}
    assert any("kept in test" in finding for finding in report["findings"])
    assert report["decoded"]["pictures"] == 14


def test_one_picture_of_two_classes_belongs_to_none(divided, artifacts):
    divided.add("apple", "test", content=divided.folder.joinpath("000.png").read_bytes())
    report = prepare(divided.dataset(), artifacts)
    assert report["conflicting_classes"]["count"] == 2 and report["usable"] == 13
    assert verdicts(artifacts)["000.png"].endswith("several classes: apple, pear")


def test_a_blank_class_is_no_class(divided, artifacts):
    divided.add(" ", "train")
    prepare(divided.dataset(), artifacts)
    assert verdicts(artifacts)["014.png"] == "no class"


def test_a_class_missing_in_val_is_reported(divided, artifacts):
    divided.add("plum", "train", 2)
    report = prepare(divided.dataset(), artifacts)
    assert report["missing_classes"] == {"train": [], "val": ["plum"], "test": ["plum"]}
    assert "val: no pictures of plum." in report["findings"]
    assert report["tiny_classes"] == {"plum": 2}


def test_a_class_without_a_usable_picture_is_no_class(divided, artifacts):
    divided.add("plum", "train", content=b"")
    report = prepare(divided.dataset(), artifacts)
    frame = manifest.read(artifacts.manifest).set_index("class")
    assert report["empty_classes"] == ["plum"]
    assert json.loads(artifacts.classes.read_text()) == ["apple", "pear"]
    assert frame.loc["plum", "label"] == -1


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_class_that_cannot_be_learned_is_refused(divided, artifacts, split):
    divided.add("plumb", split)
    with pytest.raises(UserError, match=f"{split} has 1 class that .*'plumb'.*'apple', 'pear'"):
        prepare(divided.dataset(), artifacts)


def test_one_class_is_not_enough(photos, artifacts):
    photos.add("pear", "train", 3)
    with pytest.raises(UserError, match="'pear' is the only class"):
        prepare(photos.dataset(), artifacts)


def test_a_class_that_lost_all_its_pictures_is_named(photos, artifacts):
    photos.add("pear", "train", 3)
    photos.add("apple", "train", 4, content=b"")
    with pytest.raises(UserError) as stop:
        prepare(photos.dataset(), artifacts)
    message = str(stop.value)
    assert "'pear' is the only class" in message and "None of 4 files of 'apple'" in message
    assert "003.png: empty file" in message and "and 1 more" in message
    photos.add("apple", "test")
    with pytest.raises(UserError, match="test has 1 class that(.|\n)*None of 4 files of 'apple'"):
        prepare(photos.dataset(), artifacts)


def test_nothing_usable_says_why(photos, artifacts):
    photos.add("", "train", 3)
    with pytest.raises(UserError, match=r"none of 3 files can be used:(.|\n)*no class"):
        prepare(photos.dataset(), artifacts)


def test_findings_are_grammatical(divided, artifacts):
    content = divided.folder.joinpath("000.png").read_bytes()
    divided.add("pear", "train", content=content)
    divided.add("pear", "train", content=b"")
    findings = prepare(divided.dataset(), artifacts)["findings"]
    assert findings[:2] == [
        "1 file cannot be used.",
        "1 exact copy within a split: each picture counts once.",
    ]
    divided.add("pear", "train", content=content)
    divided.add("apple", "train", group="a")
    divided.add("apple", "test", group="a")
    findings = prepare(divided.dataset(), artifacts)["findings"]
    assert "2 exact copies within a split: each picture counts once." in findings
    assert "1 group lies in several splits of the data's own." in findings


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


def test_groups_in_several_splits_are_reported(divided, artifacts):
    divided.add("pear", "train", group="a")
    divided.add("pear", "test", group="a")
    report = prepare(divided.dataset(), artifacts)
    assert report["groups_in_several_splits"] == 1


def test_frames_and_orientations_are_counted(divided, artifacts):
    exif = Image.Exif()
    exif[0x0112] = 6
    noise = Image.open(divided.folder / "000.png").rotate(90)
    noise.save(divided.add("pear", "train")[0], "JPEG", exif=exif)
    frames = {"save_all": True, "append_images": [Image.new("RGB", noise.size)]}
    noise.save(divided.add("pear", "train")[0], "GIF", **frames)
    report = prepare(divided.dataset(), artifacts)
    assert (report["turned"], report["several_frames"]) == (1, 1)
    frame = manifest.read(artifacts.manifest)
    turned = frame[frame["path"].str.endswith("014.png")].iloc[0]
    assert (turned["width"], turned["height"]) == (noise.height, noise.width)


def test_groups_and_capture_times_stand_in_the_manifest(divided, artifacts):
    exif = Image.Exif()
    exif[0x0110] = "a camera"
    exif.get_ifd(0x8769)[0x9003] = "2024:05:31 14:03:59"
    photo = divided.add("pear", "train", group="a tree")[0]
    Image.open(divided.folder / "000.png").save(photo, exif=exif)
    prepare(divided.dataset(), artifacts)
    frame = manifest.read(artifacts.manifest)
    last = frame[frame["path"] == str(photo)].iloc[0]
    assert (last["group"], last["taken"]) == ("a tree", 1717164239.0)
    others = frame[frame["path"] != str(photo)]
    assert set(others["group"]) == {""} and others["taken"].isna().all()


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


def test_many_rows_are_packed_in_batches(divided, artifacts, monkeypatch):
    monkeypatch.setattr("graftwork.data.preparing.examination.ROWS", 4)
    assert prepare(divided.dataset(), artifacts)["usable"] == 14


def test_the_summary(divided, artifacts, capsys):
    for index in range(25):
        divided.add(f"class {index}", "train")
    data_report.show(prepare(divided.dataset(), artifacts), artifacts.data_report)
    printed = capsys.readouterr().out
    for expected in ("39 pictures", "apple", "class 24", "and 7 more", "33", "report.json"):
        assert expected in printed
    assert "class 7" not in printed.split("all")[0], "twenty classes are shown"
    assert "no pictures of class 0" in printed


@pytest.mark.parametrize(("damaged", "named", "more"), [(4, 4, ""), (8, 5, "and 3 more")])
def test_the_summary_names_the_first_files_that_cannot_be_used(
    divided, artifacts, capsys, damaged, named, more
):
    divided.add("pear", "train", damaged, content=b"<html>")
    data_report.show(prepare(divided.dataset(), artifacts), artifacts.data_report)
    _, _, said = capsys.readouterr().out.partition("Files that cannot be used:\n")
    lines = [line.strip() for line in said.splitlines()]
    assert lines[:named] == [
        f"{divided.folder / f'{14 + i:03d}.png'}: a web page, not an image" for i in range(named)
    ]
    assert lines[named] == more or not more and lines[named].startswith("Report: ")


def test_the_summary_of_good_files_names_none(divided, artifacts, capsys):
    data_report.show(prepare(divided.dataset(), artifacts), artifacts.data_report)
    assert "cannot be used" not in capsys.readouterr().out


def test_a_class_named_like_several_labels_is_reported_and_kept(divided, artifacts, capsys):
    divided.add("apple pear", "train", 2)
    report = prepare(divided.dataset(), artifacts)
    assert report["several_labels"] == ["apple pear"] and "apple pear" in report["classes"]
    data_report.show(report, artifacts.data_report)
    assert "- 'apple pear' reads like several labels." in capsys.readouterr().out


def test_names_of_classes_are_neither_markup_nor_escape_codes(divided, artifacts, capsys):
    for name in ("dog [/us]", "[cat]", ":cat:", "\x1b]0;owned\x07cat\x1b[2J"):
        divided.add(name, "train")
    data_report.show(prepare(divided.dataset(), artifacts), artifacts.data_report)
    printed = capsys.readouterr().out
    rows, findings = printed.split("all ")[0], printed.partition("no pictures of")[2]
    for shown in ("dog [/us]", "[cat]", ":cat:", r"\x1b]0;owned\x07cat\x1b[2J"):
        assert shown in rows and shown in findings
    assert "\x1b" not in printed and "\x07" not in printed
