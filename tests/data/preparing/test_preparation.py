from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
from PIL import Image

from graftwork.data import manifest
from graftwork.data.images import DecodedImages, decode, decoded_store
from graftwork.data.preparing.preparation import prepare


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


def test_many_rows_are_packed_in_batches(divided, artifacts, monkeypatch):
    monkeypatch.setattr("graftwork.data.preparing.examination.ROWS", 4)
    assert prepare(divided.dataset(), artifacts)["usable"] == 14
