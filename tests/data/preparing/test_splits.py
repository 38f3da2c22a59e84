from __future__ import annotations

import hashlib

import pandas as pd
import pytest

from graftwork.config.errors import UserError
from graftwork.data.datasets.base import Splits
from graftwork.data.preparing import splits


def pictures(**classes: int) -> pd.DataFrame:
    """So many pictures of each class, in no split and no group."""
    names = [name for name, count in classes.items() for _ in range(count)]
    sha256 = [hashlib.sha256(f"{name}{i}".encode()).hexdigest() for i, name in enumerate(names)]
    frame = pd.DataFrame({"sha256": sha256, "class": names})
    return frame.assign(split=None, group=None).astype({"split": "str", "group": "str"})


def made(frame: pd.DataFrame, val: float = 0.1, test: float = 0.2, seed: int = 0) -> pd.Series:
    return splits.make(frame, Splits(val, test, seed, None))


def counts(frame: pd.DataFrame, result: pd.Series) -> dict[str, dict[str, int]]:
    table = frame.assign(split=result).groupby(["class", "split"]).size().unstack(fill_value=0)
    return table.to_dict("index")


def test_every_class_gets_its_share():
    frame = pictures(apple=100, pear=50, plum=10)
    assert counts(frame, made(frame)) == {
        "apple": {"train": 70, "val": 10, "test": 20},
        "pear": {"train": 35, "val": 5, "test": 10},
        "plum": {"train": 7, "val": 1, "test": 2},
    }


def test_the_order_of_files_does_not_matter_and_the_seed_does():
    frame = pictures(apple=40, pear=40)
    result = made(frame)
    shuffled = frame.sample(frac=1, random_state=0)
    assert made(shuffled).reindex(frame.index).equals(result)
    assert made(frame, seed=1).ne(result).any()


def test_one_more_picture_moves_few():
    frame = pictures(apple=200)
    before = made(frame.iloc[:-1])
    after = made(frame).iloc[:-1]
    assert before.ne(after).sum() <= 2


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, {"train": 1, "val": 0, "test": 0}),
        (2, {"train": 1, "val": 0, "test": 1}),
        (3, {"train": 1, "val": 1, "test": 1}),
        (4, {"train": 2, "val": 1, "test": 1}),
    ],
)
def test_tiny_classes_train_first_and_then_test(count, expected):
    frame = pictures(big=50, tiny=count)
    assert counts(frame, made(frame))["tiny"] == expected


def test_what_the_data_says_is_kept_and_val_comes_from_train():
    frame = pictures(apple=40, pear=20)
    frame["split"] = ["test" if i % 4 == 0 else "train" for i in range(60)]
    result = made(frame)
    assert (result[frame["split"] == "test"] == "test").all()
    assert counts(frame, result)["apple"] == {"train": 27, "val": 3, "test": 10}
    assert splits.made(frame, result) == ["val"]


def test_no_share_no_split():
    frame = pictures(apple=40)
    assert set(made(frame, val=0)) == {"train", "test"}
    assert set(made(frame, val=0, test=0)) == {"train"}


def test_test_comes_from_train_where_only_train_and_val_are_given():
    frame = pictures(apple=50).assign(split=["train"] * 40 + ["val"] * 10)
    result = made(frame)
    assert result.value_counts().to_dict() == {"train": 32, "val": 10, "test": 8}


def test_pictures_without_a_split_fill_what_is_missing_and_leave_train_alone():
    frame = pictures(apple=60)
    frame["split"] = ["train"] * 20 + ["test"] * 20 + [None] * 20
    result = made(frame)
    assert (result[:20] == "train").all() and (result[20:40] == "test").all()
    assert result[40:].value_counts().to_dict() == {"train": 18, "val": 2}


def test_nothing_left_to_train_on():
    with pytest.raises(UserError, match="no picture is left for training"):
        made(pictures(apple=4).assign(split="test"))


def test_groups_never_part():
    frame = pictures(apple=90, pear=60)
    frame["group"] = [f"g{i // 3}" for i in range(150)]
    result = made(frame)
    assert result.groupby(frame["group"]).nunique().max() == 1
    assert counts(frame, result)["apple"] == {"train": 63, "val": 9, "test": 18}


def test_groups_of_unequal_size_and_mixed_with_single_pictures():
    frame = pictures(apple=40)
    frame["group"] = ["big"] * 20 + ["small"] * 4 + [None] * 16
    result = made(frame)
    assert result.groupby(frame["group"]).nunique().max() == 1
    assert result.value_counts().to_dict() == {"train": 28, "test": 8, "val": 4}


def test_where_no_group_fits_the_smallest_is_taken():
    frame = pictures(apple=30)
    frame["group"] = ["a"] * 10 + ["b"] * 9 + ["c"] * 11
    assert set(made(frame, val=0)) == {"train", "test"}
    assert made(frame, val=0).value_counts()["test"] in (9, 10)


def test_a_group_of_several_classes_goes_as_one():
    frame = pictures(apple=20, pear=20)
    frame["group"] = [f"g{i % 10}" for i in range(40)]
    result = made(frame)
    assert result.groupby(frame["group"]).nunique().max() == 1
    assert set(result) == {"train", "val", "test"}


def test_a_picture_without_a_split_follows_its_group():
    frame = pictures(apple=20).assign(split=["test"] * 5 + ["train"] * 10 + [None] * 5)
    frame["group"] = ["patient"] + [None] * 14 + ["patient"] * 2 + [None] * 3
    result = made(frame, val=0)
    assert (result[15:17] == "test").all() and (result[17:] == "train").all()


def limited(frame: pd.DataFrame, count: int | None, seed: int = 0) -> pd.DataFrame:
    return splits.limit_train(frame, Splits(0.1, 0.2, seed, count))


def test_so_many_training_pictures_of_each_class_stay():
    frame = pictures(apple=40, pear=40, plum=2).assign(verdict="ok")
    frame["split"] = ["train", "val", "train", "test"] * 20 + ["train"] * 2
    frame.loc[0, "verdict"] = "empty file"
    result = limited(frame, 3)
    left = result[result["verdict"] == "ok"]
    assert counts(left, left["split"]) == {
        "apple": {"train": 3, "val": 10, "test": 10},
        "pear": {"train": 3, "val": 10, "test": 10},
        "plum": {"train": 2, "val": 0, "test": 0},
    }
    assert set(result["verdict"]) == {"ok", splits.BEYOND, "empty file"}
    assert set(frame["verdict"]) == {"ok", "empty file"}, "the frame that was given is left alone"
    assert limited(frame, None).equals(frame) and limited(frame, 20).equals(frame)


def test_more_training_pictures_include_fewer_whatever_the_order_of_files():
    frame = pictures(apple=40, pear=40).assign(verdict="ok", split="train")
    few, more = (set(limited(frame, n).query("verdict == 'ok'").index) for n in (4, 9))
    assert few < more and len(few) == 8
    shuffled = limited(frame.sample(frac=1, random_state=1), 4).query("verdict == 'ok'")
    assert set(shuffled.index) == few
    assert set(limited(frame, 4, seed=1).query("verdict == 'ok'").index) != few


def test_groups_torn_by_the_data_are_counted():
    frame = pictures(apple=6).assign(split=["train", "test"] * 3)
    frame["group"] = ["a", "a", "b", None, "b", "c"]
    assert splits.straddling_groups(frame) == 1
