"""Matched folds are computed once for the same data, and never taken from a damaged file."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from graftwork.selecting import stored_match
from graftwork.selecting.matched import Matched, match
from graftwork.selecting.stored_match import stored
from graftwork.storage.files import DamageWarning

LABELS = np.repeat(np.arange(3), 20)


def pictures(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 5)).astype(np.float32)


def asked(
    folder: Path, features: np.ndarray, labels: np.ndarray = LABELS, seed: int = 0
) -> Matched:
    return stored(folder)(features, labels, pictures(9, 12), 3, seed, 1000)


def never(*_: object) -> Matched:
    raise LookupError("computed again")


def test_what_is_stored_is_what_was_computed_and_is_not_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = pictures(0, 60)
    computed = match(features, LABELS, pictures(9, 12), 3, 0, 1000)
    asked(tmp_path, features)
    monkeypatch.setattr(stored_match, "match", never)
    found = asked(tmp_path, features)
    for field in fields(Matched):
        one, other = getattr(found, field.name), getattr(computed, field.name)
        assert type(one) is type(other)
        np.testing.assert_array_equal(one, other)
    with pytest.raises(LookupError):
        asked(tmp_path, pictures(1, 60))
    with pytest.raises(LookupError):
        asked(tmp_path, features, LABELS[::-1].copy())
    with pytest.raises(LookupError):
        asked(tmp_path, features, seed=1)


@pytest.mark.parametrize("keep", [0, 100, -10])
def test_a_damaged_file_counts_as_absent(tmp_path: Path, keep: int) -> None:
    features = pictures(0, 60)
    before = asked(tmp_path, features)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    path.write_bytes(content[:keep])
    with pytest.warns(DamageWarning, match=path.name):
        np.testing.assert_array_equal(asked(tmp_path, features).fold, before.fold)
    assert path.read_bytes() == content
