from __future__ import annotations

import pandas as pd
import pytest

from graftwork.data.preparing.duplicates import leave_out_conflicts, leave_out_duplicates


def listed(*rows: tuple[str, str, str | None], verdicts: list[str] | None = None) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["sha256", "class", "split"])
    return frame.assign(verdict=verdicts or "ok")


@pytest.mark.parametrize(
    ("found_in", "kept"),
    [
        (["train", "test"], 1),
        (["test", "train"], 0),
        (["train", "val"], 1),
        (["val", "test", "train"], 1),
        ([None, "train"], 1),
        (["train", None, "val"], 2),
    ],
)
def test_the_copy_in_test_counts_then_val_then_train(found_in, kept):
    frame = leave_out_duplicates(listed(*(("a", "apple", split) for split in found_in)))
    assert frame["verdict"].eq("ok").tolist() == [i == kept for i in range(len(found_in))]
    others = frame["verdict"].drop(kept)
    assert (others == f"duplicate of a picture in {found_in[kept]}").all()


@pytest.mark.parametrize("split", ["train", "test", None])
def test_within_a_split_the_first_counts(split):
    frame = leave_out_duplicates(listed(("a", "x", split), ("b", "x", split), ("a", "x", split)))
    assert frame["verdict"].tolist() == ["ok", "ok", "duplicate"]


def test_what_cannot_be_read_is_nobodys_copy():
    rows = [("", "x", "train"), ("", "x", "test"), ("a", "x", "train")]
    frame = listed(*rows, verdicts=["cannot be read", "cannot be read", "ok"])
    assert leave_out_duplicates(frame).equals(frame)


def test_contradicting_copies_are_all_left_out():
    frame = leave_out_conflicts(
        listed(("a", "pear", "train"), ("b", "pear", "train"), ("a", "apple", "test"))
    )
    assert frame["verdict"].tolist() == [
        "same picture under several classes: apple, pear",
        "ok",
        "same picture under several classes: apple, pear",
    ]
    assert leave_out_duplicates(frame).equals(frame)


def test_copies_of_one_class_do_not_contradict():
    frame = listed(("a", "pear", "train"), ("a", "pear", "test"))
    assert leave_out_conflicts(frame).equals(frame)
