"""One hold-out for all strategies: what is typical is asked of a probe, never of the strategy."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from photo_series import CLASSES, Backbone, experiment, photos

from graftwork.data.folds import NEVER
from graftwork.selecting.held_out import held_out
from graftwork.training import typical
from graftwork.training.source import Source
from graftwork.training.typical import network_fold, probe_top1


def source(
    monkeypatch: pytest.MonkeyPatch, *, features: bool, head: Any = None, **fields: Any
) -> Source:
    """A strategy's start, with its features at hand or in the store."""
    frame = photos()
    wanted, backbone = experiment("grouped", group_by="duplicates", **fields), Backbone(frame)
    found = held_out(wanted, frame, CLASSES, backbone)
    backbone.asked.clear()
    monkeypatch.setattr(typical, "features_of", lambda experiment, artifacts, rows: backbone(rows))
    stored: Any = backbone(found.rows) if features else None
    return Source(wanted, SimpleNamespace(), found, stored, head, CLASSES, None)  # type: ignore[arg-type]


def test_strategies_with_a_computed_head_and_without_hold_out_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    says_nothing = SimpleNamespace(held_out=np.full((60, CLASSES), 1 / CLASSES, np.float32))
    computed = network_fold(source(monkeypatch, features=True, head=says_nothing))
    built = network_fold(source(monkeypatch, features=False, probe=False))
    assert (computed == built).all()
    assert 0 < (built == 0).sum() < 30 and set(built.tolist()) == {0, NEVER}


def test_hard_pictures_move_what_is_typical(monkeypatch: pytest.MonkeyPatch) -> None:
    ordinary = source(monkeypatch, features=True)
    before = network_fold(ordinary)
    assert ordinary.features is not None
    out = before == 0
    ordinary.features[out] = ordinary.features[~out][: out.sum()]  # look like other pictures
    after = network_fold(ordinary)
    assert (after != before).any(), "a part that is all wrong is not typical"


def test_random_weights_and_several_folds_ask_no_features(monkeypatch: pytest.MonkeyPatch) -> None:
    for fields in ({"random": True}, {"folds": 3}):
        start = source(monkeypatch, features=False, **fields)
        monkeypatch.setattr(typical, "features_of", None)
        found = network_fold(start)
        assert set(found.tolist()) == ({0, NEVER} if "random" in fields else {0, 1, 2})


def test_the_probe_of_held_out_pictures_is_a_share_and_none_of_random_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = source(monkeypatch, features=False)
    labels = start.held_out.labels
    said = np.eye(CLASSES)[labels]
    said[:15] = np.roll(said[:15], 1, axis=1)  # a quarter is called by another name
    monkeypatch.setattr(typical, "cross_validated", lambda *_, **__: said)
    judged = start.held_out.head_fold != NEVER
    assert probe_top1(start) == 1 - judged[:15].sum() / judged.sum()
    assert probe_top1(source(monkeypatch, features=False, random=True)) is None
