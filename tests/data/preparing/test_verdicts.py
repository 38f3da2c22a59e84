from __future__ import annotations

import json
from pathlib import Path

import pytest
from listed_photos import Photos, verdicts

from graftwork.config.errors import UserError
from graftwork.data import manifest
from graftwork.data.datasets.base import Record
from graftwork.data.preparing.preparation import prepare


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
