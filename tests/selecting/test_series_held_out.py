"""Photos of a series stay together, and no label of a new photo leads to a choice."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from photo_series import CLASSES, Backbone, experiment, never, photos

from graftwork.config.errors import UserError
from graftwork.selecting.held_out import HeldOut, held_out
from graftwork.selecting.matched import nearest_distances


def torn(found: HeldOut, fold: np.ndarray) -> int:
    """In how many folds too many series lie."""
    series = found.rows["series"]
    return len(set(zip(series, fold, strict=True))) - series.nunique()


@pytest.mark.parametrize("by", ["column", "taken", "duplicates"])
def test_grouped_keeps_groups_whole_whatever_makes_them(by: str) -> None:
    frame = photos(val=3, siblings=True, column=by == "column")
    if by == "taken":
        frame["taken"] = frame["series"] * 1000.0
    backbone = Backbone(frame)
    wanted = experiment("grouped", group_by=by)
    found = held_out(wanted, frame, CLASSES, backbone)
    assert all(torn(found, fold) == 0 for fold in (found.head_fold, *found.network_folds))
    assert len(set(found.head_fold)) == 5
    assert "75 of 75 pictures lie in 12 groups" in found.what and not found.what.endswith(".")
    assert backbone.seen() == ({"train", "val"} if by == "duplicates" else set())


def test_grouped_without_groups_holds_single_pictures_out() -> None:
    frame = photos()
    wanted = experiment("grouped", duplicate_cosine=1.0)
    found = held_out(wanted, frame, CLASSES, Backbone(frame))
    assert torn(found, found.head_fold) > 12
    assert found.what == "no two pictures are known to belong together: each is a group of its own"


def test_a_kind_of_group_that_the_data_lacks_is_refused() -> None:
    with pytest.raises(UserError, match="no groups by 'column'.*It has: duplicates"):
        held_out(experiment("grouped", group_by="column"), photos(), CLASSES, Backbone(photos()))


def test_matched_holds_series_out_as_new_photos_are() -> None:
    frame = photos(val=3, siblings=True)
    found = held_out(experiment("matched", head_folds=4), frame, CLASSES, Backbone(frame))
    assert all(torn(found, fold) == 0 for fold in (found.head_fold, *found.network_folds))
    assert found.matched is not None and (found.matched.fold == found.head_fold).all()
    assert len(found.matched.new) == 60
    assert found.what == "whole clusters, as far from the rest as the test photos are from all"


def test_photos_without_labels_come_before_those_of_test() -> None:
    frame = photos(unlabelled=True)
    frame.loc[len(frame) - 1, "verdict"] = "empty file"
    backbone = Backbone(frame)
    found = held_out(experiment("matched"), frame, CLASSES, backbone)
    assert backbone.seen() == {"train", "unlabelled"}
    assert found.matched is not None and len(found.matched.new) == 6
    assert "as unlabelled photos are from all" in found.what


def test_without_a_new_photo_nothing_can_be_matched() -> None:
    frame = photos(unlabelled=True).query("split == 'train'")
    with pytest.raises(UserError, match="no new picture to match.*dataset.unlabelled=FOLDER"):
        held_out(experiment("matched"), frame, CLASSES, Backbone(frame))


def test_validation_of_siblings_is_not_trusted_by_auto() -> None:
    frame = photos(val=3, siblings=True)
    found = held_out(experiment(min_val=15), frame, CLASSES, Backbone(frame))
    assert found.method == "matched" and found.matched is not None
    known = Backbone(frame)
    train, val, test = (known(frame[frame["split"] == s]) for s in ("train", "val", "test"))
    near, far = (nearest_distances(rows, train).mean() for rows in (val, test))
    assert found.why == (
        f"validation photos lie nearer to training ({near:.3f}) than the test photos do "
        f"({far:.3f}): they would flatter"
    )


def test_validation_of_series_of_its_own_is_trusted_by_auto() -> None:
    frame = photos(val=12)
    backbone = Backbone(frame)
    found = held_out(experiment(min_val=15), frame, CLASSES, backbone)
    assert found.method == "validation" and found.why.startswith("it has 60 pictures")
    assert backbone.seen() == {"train", "val", "test"}


def test_as_little_as_new_photos_are_from_training_validation_may_be_too() -> None:
    """Where new photos have siblings in train as well, those of validation do not flatter."""
    frame = photos(val=3, siblings=True)
    frame.loc[frame["split"] == "test", "series"] -= 40
    found = held_out(experiment(min_val=15), frame, CLASSES, Backbone(frame))
    assert found.method == "validation"


def test_validation_is_not_doubted_where_it_is_named_or_features_would_cost_a_pass() -> None:
    frame = photos(val=3, siblings=True)
    assert held_out(experiment("validation"), frame, CLASSES, never).method == "validation"
    found = held_out(experiment(min_val=15, probe=False), frame, CLASSES, never)
    assert found.method == "validation"


def test_of_many_photos_a_sample_is_doubted() -> None:
    frame = pd.concat([photos(val=3, siblings=True)] * 2, ignore_index=True)
    backbone = Backbone(frame)
    wanted = experiment(min_val=15, max_pictures=100)
    assert held_out(wanted, frame, CLASSES, backbone).method == "matched"
    assert [len(rows) for rows in backbone.asked[:3]] == [100, 30, 100]


@pytest.mark.parametrize("siblings", [True, False])
@pytest.mark.parametrize("method", ["auto", "matched", "grouped", "random", "validation"])
def test_the_labels_of_test_change_nothing(method: str, siblings: bool) -> None:
    """Neither what is asked of the backbone nor what is chosen."""
    wanted = experiment(method, min_val=15)
    frame = photos(val=3, siblings=siblings)
    permuted, test = frame.copy(), frame["split"] == "test"
    permuted.loc[test, "label"] = np.random.default_rng(1).permutation(frame.loc[test, "label"])
    permuted.loc[test, "class"] = permuted.loc[test, "label"].map(lambda label: "abc"[label])
    assert (permuted["label"] != frame["label"]).any()
    found, backbones = [], [Backbone(frame) for _ in range(2)]
    for known, backbone in zip((frame, permuted), backbones, strict=True):
        found.append(held_out(wanted, known, CLASSES, backbone))
    one, other = found
    assert (one.method, one.why, one.what) == (other.method, other.why, other.what)
    pd.testing.assert_frame_equal(one.rows, other.rows)
    np.testing.assert_array_equal(one.head_fold, other.head_fold)
    np.testing.assert_array_equal(one.network_folds, other.network_folds)
    assert (one.matched is None) == (other.matched is None)
    if one.matched is not None and other.matched is not None:
        assert one.matched.tried == other.matched.tried
    for rows in backbones[1].asked_for("test"):
        assert not {"label", "class"} & set(rows.columns)
