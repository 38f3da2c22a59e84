"""By which rule pictures are held out, and which."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from photo_series import CLASSES, Backbone, experiment, never, photos

from graftwork.config.errors import UserError
from graftwork.data.folds import NEVER
from graftwork.selecting.held_out import WAYS, held_out, method_of, needs_features


@pytest.mark.parametrize("method", ["validation", "matched", "grouped", "random", "none"])
def test_a_method_that_is_named_is_taken(method: str) -> None:
    found = method_of(experiment(method), photos(val=3), CLASSES)
    assert found == (method, f"selection={method} says so")


def test_validation_without_a_picture_is_refused() -> None:
    with pytest.raises(UserError, match="no validation pictures.*dataset.splits.val_fraction=0.15"):
        method_of(experiment("validation"), photos(), CLASSES)
    unusable = photos(val=3)
    unusable.loc[unusable["split"] == "val", "verdict"] = "empty file"
    with pytest.raises(UserError, match="selection: validation"):
        held_out(experiment("validation"), unusable, CLASSES, never)


@pytest.mark.parametrize(
    ("val", "least", "options", "expected", "why"),
    [
        (3, 15, {}, "validation", "^it has 15 pictures, and some of every class$"),
        (3, 16, {}, "matched", r"^15 validation pictures are too few.*\(selection.min_val=16\)$"),
        (2, 10, {}, "matched", "^1 classes have no validation picture$"),
        (0, 1, {}, "matched", "^there are no validation pictures$"),
        (0, 1, {"random": True}, "random", "no validation pictures, and random weights give no"),
        (3, 16, {"random": True}, "random", "too few .* random weights give no distances"),
        (3, 15, {"random": True}, "validation", "^it has 15"),
        (0, 1, {"random": True, "column": True}, "grouped", "random weights give no distances"),
        (0, 1, {"column": True}, "matched", "no validation pictures$"),
    ],
)
def test_auto_trusts_validation_of_some_size_and_matches_pretrained_weights(
    val: int, least: int, options: dict[str, bool], expected: str, why: str
) -> None:
    frame = photos(val=val, column=options.get("column", False))
    wanted = experiment(min_val=least, random=options.get("random", False))
    method, said = method_of(wanted, frame, CLASSES)
    assert method == expected and re.search(why, said)


def test_groups_of_test_alone_do_not_make_auto_group() -> None:
    frame = photos()
    frame.loc[frame["split"] == "test", "group"] = "one"
    assert method_of(experiment(random=True), frame, CLASSES)[0] == "random"


@pytest.mark.parametrize(
    ("method", "fields", "needed"),
    [
        ("auto", {}, True),
        ("auto", {"min_val": 15}, False),
        ("random", {}, True),  # which part is typical
        ("random", {"folds": 3}, False),
        ("random", {"epochs": 0}, False),
        ("random", {"random": True}, False),
        ("validation", {}, False),
        ("none", {}, False),
        ("matched", {}, True),
        ("grouped", {}, True),
        ("grouped", {"group_by": "duplicates"}, True),
        ("grouped", {"group_by": "column"}, True),
        ("grouped", {"group_by": "column", "folds": 3}, False),
        ("grouped", {"group_by": "taken", "folds": 3}, False),
    ],
)
def test_features_are_asked_for_only_where_it_was_foreseen(
    method: str, fields: dict[str, Any], needed: bool
) -> None:
    frame = photos(val=3, column=True)
    frame["taken"] = frame["series"] * 1000.0
    wanted = experiment(method, probe=False, **fields)
    assert needs_features(wanted, frame, CLASSES) == needed
    backbone = Backbone(frame)
    held_out(wanted, frame, CLASSES, backbone)
    assert bool(backbone.asked) <= needed


@pytest.mark.parametrize(
    ("method", "probe"), [("matched", True), ("matched", False), ("none", True)]
)
def test_features_that_matching_looked_at_are_kept_for_a_head(method: str, probe: bool) -> None:
    frame = photos(val=3)
    backbone = Backbone(frame)
    found = held_out(experiment(method, probe=probe), frame, CLASSES, backbone)
    if method == "matched" and probe:
        assert found.features is not None
        assert np.array_equal(found.features, Backbone(frame)(found.rows))
    else:
        assert found.features is None, "nobody needs them, and they may be large"


def test_validation_holds_its_own_pictures_out() -> None:
    found = held_out(experiment("validation"), photos(val=3), CLASSES, never)
    assert found.what == "the validation split" and found.matched is None
    assert len(found.rows) == 75 and "test" not in set(found.rows["split"])
    expected = np.where(found.rows["split"] == "val", 0, NEVER)
    assert (found.head_fold == expected).all() and (found.network_folds[0] == expected).all()
    assert (found.labels == found.rows["label"]).all() and found.labels.dtype == np.int64


def test_a_class_that_training_lacks_is_not_held_out() -> None:
    frame = photos(val=3)
    frame = frame[(frame["split"] != "train") | (frame["label"] != 2)]
    found = held_out(experiment("validation"), frame, CLASSES, never)
    assert (found.head_fold[found.labels == 2] == NEVER).all()
    assert (found.head_fold == 0).sum() == 10


def test_none_holds_nothing_out() -> None:
    found = held_out(experiment("none"), photos(val=3), CLASSES, never)
    assert (found.head_fold == NEVER).all() and (found.network_folds[0] == NEVER).all()
    assert len(found.rows) == 75 and found.what == "nothing"


def test_pictures_that_do_not_count_are_not_fitted() -> None:
    frame = photos(val=3, unlabelled=True)
    frame.loc[[0, 7, 61], "verdict"] = ["empty file", "duplicate", "left out"]
    found = held_out(experiment("random"), frame, CLASSES, never)
    labelled = frame[frame["split"].isin(["train", "val"])].drop(index=[0, 7, 61])
    assert found.rows["sha256"].tolist() == labelled["sha256"].tolist()
    assert found.rows.index.tolist() == list(range(72))


def test_random_deals_single_pictures_of_train_and_val() -> None:
    found = held_out(experiment("random"), photos(val=3), CLASSES, never)
    for fold in (found.head_fold, *found.network_folds):
        assert np.bincount(fold).tolist() == [15] * 5
        assert len(set(zip(fold, found.labels, strict=True))) == 5 * CLASSES
    assert found.what == "single pictures, as many of each class"


@pytest.mark.parametrize(
    ("fields", "parts"), [({"held_out": 0.5}, 2), ({"held_out": 0.1}, 10), ({"folds": 3}, 3)]
)
@pytest.mark.parametrize("method", ["random", "matched", "grouped"])
def test_networks_have_folds_of_their_own(method: str, fields: dict[str, Any], parts: int) -> None:
    frame = photos(val=3, column=True)
    wanted = experiment(method, head_folds=4, **fields)
    found = held_out(wanted, frame, CLASSES, Backbone(frame))
    assert all(set(fold) - {NEVER} == set(range(parts)) for fold in found.network_folds)
    assert len(found.network_folds) == (1 if "folds" in fields else WAYS)
    assert len({fold.tobytes() for fold in found.network_folds}) > len(found.network_folds) / 2
    assert set(found.head_fold) - {NEVER} == set(range(4))


def test_a_head_alone_has_no_folds_for_networks() -> None:
    found = held_out(experiment("random", epochs=0), photos(), CLASSES, never)
    assert len(found.network_folds) == 1 and found.network_folds[0] is found.head_fold


def test_of_many_groups_fewer_ways_are_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graftwork.selecting.held_out.MANY_DEALT", 130)
    assert len(held_out(experiment("random"), photos(), CLASSES, never).network_folds) == 2


def test_the_seed_of_splits_deals_the_folds() -> None:
    wanted = experiment("random")
    one, again = (held_out(wanted, photos(), CLASSES, never).head_fold for _ in range(2))
    wanted.dataset.splits.seed = 1
    other = held_out(wanted, photos(), CLASSES, never).head_fold
    assert (one == again).all() and (one != other).any()
