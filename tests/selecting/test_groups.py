from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import composed

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.selecting.groups import groups_of
from graftwork.settings.selection import Selection

MINUTE = 60.0


def selection(by: str = "auto", **changes) -> Selection:
    found = build(composed("selection=grouped")["selection"], Selection, "selection")
    return replace(found, group_by=by, **changes)


def pictures(*paths: str, groups=None, taken=None) -> pd.DataFrame:
    """Rows of the manifest: the class is the second part of the path."""
    frame = pd.DataFrame({"path": [f"/photos/{path}" for path in paths]})
    frame["class"] = [path.split("/")[0] for path in paths]
    frame["group"] = groups or ""
    return frame.assign(taken=math.nan if taken is None else taken)


def unlike(frame: pd.DataFrame) -> np.ndarray:
    """Features of which no two are similar."""
    return np.eye(len(frame), 40, dtype=np.float32)


def found(frame: pd.DataFrame, chosen: Selection, features=None) -> tuple[list[int] | None, str]:
    codes, words = groups_of(frame, lambda: unlike(frame) if features is None else features, chosen)
    assert codes is None or codes.dtype == np.int64
    return None if codes is None else codes.tolist(), words


def never() -> np.ndarray:
    raise AssertionError("nothing asked for features")


FLAT = [f"{name}/{number}.jpg" for name in ("dog", "cat") for number in range(3)]


def test_by_the_datas_column_and_those_without_stand_alone():
    frame = pictures(*FLAT, groups=["ada", "", "bob", "ada", "bob", ""])
    codes, words = groups_of(frame, never, selection("column"))
    assert codes.tolist() == [0, 1, 2, 0, 2, 3]
    assert "4 of 6 pictures lie in 2 groups of several, the largest of 2" in words
    assert "dataset.group_column" in words and "each of the others stands alone" in words


def test_by_folders_below_the_class_folder():
    frame = pictures("dog/a/1.jpg", "dog/2.jpg", "cat/a/1.jpg", "dog/a/3.jpg", "dog/b/c/4.jpg",
                     "dog/b/c/5.jpg", "dog/3.jpg")  # fmt: skip
    codes, words = groups_of(frame, never, selection("folder"))
    assert codes.tolist() == [0, 1, 2, 0, 3, 3, 4], "the class folder itself is no group"
    assert words.startswith("A group is a folder below a class folder: 4 of 7")


def test_class_folders_within_splits_and_of_the_same_name_as_a_series():
    frame = pictures("dog/dog/1.jpg", "dog/s/1.jpg", "dog/s/2.jpg", "cat/1.jpg")
    frame["path"] = frame["path"].str.replace("/photos/", "/photos/train/")
    assert found(frame, selection("folder"))[0] == [0, 1, 1, 2]


def test_folders_say_nothing_where_they_are_not_named_for_classes():
    frame = pictures("s/1.jpg", "s/2.jpg", "dog/t/3.jpg", "dog/t/4.jpg")
    frame["class"] = ["cat", "cat", "dog", "dog"]
    with pytest.raises(UserError, match="no groups by 'folder': no folders of pictures below"):
        found(frame, selection("folder"))


def test_by_capture_time_within_a_class():
    minutes = [0, 4, 8, 30, math.nan, 33, 1, 5]
    frame = pictures(*["dog/x.jpg"] * 6, *["cat/x.jpg"] * 2, taken=[m * MINUTE for m in minutes])
    codes, words = groups_of(frame, never, selection("taken"))
    assert codes.tolist() == [0, 0, 0, 1, 2, 1, 3, 3]
    assert "gaps of at most 5 minutes" in words and "7 of 8 pictures" in words
    assert found(frame, selection("taken", gap_minutes=3.9))[0] == [0, 1, 2, 3, 4, 3, 5, 6]
    shuffled = frame.sample(frac=1, random_state=2)
    again = pd.Series(found(shuffled, selection("taken"))[0], shuffled.index).sort_index()
    assert len(set(zip(again, codes, strict=True))) == 4


def test_classes_photographed_in_turn_are_a_series_each():
    frame = pictures(*["dog/x.jpg", "cat/x.jpg"] * 4, taken=np.arange(8) * 4 * MINUTE)
    with pytest.raises(UserError, match="or none that make series with gap_minutes=5"):
        found(frame, selection("taken"))  # eight minutes between dogs
    assert found(frame, selection("taken", gap_minutes=8))[0] == [0, 1] * 4


def test_by_features_within_a_class():
    frame = pictures(*FLAT)
    features = unlike(frame)
    features[2] = features[0] + 0.1 * features[1]
    features[3] = features[0]  # a cat like a dog
    codes, words = found(frame, selection("duplicates"), features)
    assert codes == [0, 1, 0, 2, 3, 4]
    assert "cosines of at least 0.97" in words and "2 of 6 pictures lie in 1 group of" in words
    with pytest.raises(UserError, match=r"as similar as duplicate_cosine=0\.999"):
        found(frame, selection("duplicates", duplicate_cosine=0.999), features)


def test_auto_takes_the_first_that_the_data_has():
    frame = pictures(*[f"dog/{series}/{n}.jpg" for series in "ab" for n in range(2)],
                     groups=["x", "y", "x", "y"], taken=[0.0, 9e9, 9e9, 0.0])  # fmt: skip
    features = unlike(frame)[[0, 0, 0, 1]]
    assert found(frame, selection(), features)[0] == [0, 1, 0, 1]
    frame["group"] = ["x", "", "", ""]
    assert found(frame, selection(), features)[0] == [0, 0, 1, 1]
    frame["path"] = "/photos/dog/x.jpg"
    assert found(frame, selection(), features)[0] == [0, 1, 1, 0]
    frame["taken"] = math.nan
    assert found(frame, selection(), features)[0] == [0, 0, 0, 1]
    codes, words = found(frame, selection())
    assert codes is None and "each is a group of its own" in words


def test_one_group_of_everything_is_none():
    frame = pictures(*["dog/all/1.jpg"] * 4, groups=["x"] * 4, taken=[0.0] * 4)
    assert found(frame, selection())[0] is None
    assert found(frame, selection(), np.ones((4, 3), np.float32))[0] is None


@pytest.mark.parametrize(
    ("by", "lacks"),
    [("column", "dataset.group_column"), ("taken", "EXIF"), ("duplicates", "duplicate_cosine")],
)
def test_a_kind_that_the_data_lacks_is_refused_and_the_others_named(by, lacks):
    frame = pictures("dog/a/1.jpg", "dog/a/2.jpg", "dog/3.jpg")
    with pytest.raises(UserError) as stop:
        found(frame, selection(by))
    message = str(stop.value)
    assert message.startswith(f"selection.group_by: the data has no groups by '{by}'")
    assert lacks in message and "It has: folder. Set selection.group_by=folder" in message


def test_where_there_are_no_groups_at_all_another_selection_is_offered():
    with pytest.raises(UserError, match="no other kind either: choose selection=matched"):
        found(pictures(*FLAT), selection("column"))
