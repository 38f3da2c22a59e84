from __future__ import annotations

import math

import pandas as pd
import pytest

from graftwork.config.errors import UserError
from graftwork.data import manifest


@pytest.fixture
def frame():
    rows = [
        ("/b.jpg", 1, "pear", "train", "bb", 5, 6, "ok", "", 3.5),
        ("/a.jpg", 0, "apple", "train", "aa", 5, 6, "ok", "", 3.5),
        ("/c.jpg", 0, "apple", "test", "cc", 5, 6, "ok", "cam", math.nan),
        ("/d.jpg", 0, "apple", "train", "aa", 5, 6, "duplicate", "", 3.5),
        ("/n.jpg", -1, "", "unlabelled", "nn", 5, 6, "ok", "", 3.5),
        ("/e.jpg", -1, "plum", "", "ee", 0, 0, "image file is truncated", "", 3.5),
    ]
    return pd.DataFrame(rows, columns=list(manifest.COLUMNS))


def test_there_and_back_in_the_order_of_content(tmp_path, frame):
    path = tmp_path / "data" / "manifest.parquet"
    manifest.write(frame.assign(extra=1), path)
    back = manifest.read(path)
    assert list(back.columns) == list(manifest.COLUMNS)
    assert back["path"].tolist() == ["/e.jpg", "/c.jpg", "/a.jpg", "/d.jpg", "/b.jpg", "/n.jpg"]
    manifest.write(frame.sample(frac=1, random_state=3), tmp_path / "other.parquet")
    assert path.read_bytes() == (tmp_path / "other.parquet").read_bytes()


def test_usable_and_of_split(frame):
    assert manifest.usable(frame)["path"].tolist() == ["/b.jpg", "/a.jpg", "/c.jpg"]
    train = manifest.of_split(frame, "train")
    assert train["sha256"].tolist() == ["bb", "aa"] and train.index.tolist() == [0, 1]
    assert manifest.of_split(frame, "val").empty


def test_photos_without_labels_are_seen_and_never_used(frame):
    assert "/n.jpg" not in set(manifest.usable(frame)["path"])
    assert manifest.seen(frame)["path"].tolist() == ["/b.jpg", "/a.jpg", "/c.jpg", "/n.jpg"]
    assert manifest.of_split(frame, "unlabelled")["path"].tolist() == ["/n.jpg"]


def test_a_manifest_of_an_earlier_version_says_what_to_do(tmp_path, frame):
    frame.drop(columns=["group", "taken"]).to_parquet(tmp_path / "manifest.parquet")
    with pytest.raises(UserError, match="without group, taken. Run `dvc repro --force prepare`"):
        manifest.read(tmp_path / "manifest.parquet")


def test_the_digest_says_what_is_learned_and_tested(frame):
    digest = manifest.digest(frame)
    assert len(digest) == 64
    same = [
        frame.sample(frac=1, random_state=1),
        frame.assign(path="/elsewhere/" + frame["path"]),
        frame[frame["verdict"] == "ok"],
        frame.assign(width=9),
        frame.assign(group="one", taken=7.0),
        frame[frame["split"] != "unlabelled"],
    ]
    assert {manifest.digest(other) for other in same} == {digest}


@pytest.mark.parametrize(
    ("column", "value"), [("sha256", "zz"), ("label", 5), ("class", "plum"), ("split", "val")]
)
def test_the_digest_notices_every_change(frame, column, value):
    changed = frame.copy()
    changed.loc[0, column] = value
    assert manifest.digest(changed) != manifest.digest(frame)


def test_the_digest_does_not_depend_on_how_much_is_joined_at_once(frame, monkeypatch):
    digest = manifest.digest(frame)
    monkeypatch.setattr(manifest, "_AT_ONCE", 2)
    assert manifest.digest(frame) == digest
