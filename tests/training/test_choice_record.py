from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from graftwork.data.folds import NEVER, learnable, stratified
from graftwork.selecting.held_out import HeldOut
from graftwork.selecting.matched import PERCENTILES, match
from graftwork.training.choice_record import record_of
from graftwork.training.probe_model import out_of_fold
from graftwork.training.source import Source
from graftwork.transfer.head_init import ConvergedProbe
from graftwork.transfer.parts import Examples

CLASSES = 4


def source(method: str, features: np.ndarray, labels: np.ndarray, fold: np.ndarray) -> Source:
    """What a strategy with a computed head starts from."""
    rows = pd.DataFrame({"label": labels, "sha256": [str(n) for n in range(len(labels))]})
    held_out = HeldOut(method, "so it is", "what there is", rows, fold, [fold])
    part = ConvergedProbe([1e-2, 1e-4], 0.5)
    head = part.fit(Examples(features, labels, CLASSES, fold, 0))
    experiment: Any = SimpleNamespace(
        seed=0,
        selection=SimpleNamespace(head_folds=5),
        dataset=SimpleNamespace(splits=SimpleNamespace(seed=0)),
        transfer=SimpleNamespace(head_init=part),
    )
    return Source(experiment, None, held_out, features, head, CLASSES, None)  # type: ignore[arg-type]


def series(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Photos in series of six that look alike (features, labels, series), and new ones."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(40) % CLASSES, 6)
    centres = np.eye(16)[np.arange(48) % CLASSES] + random.normal(0, 0.5, (48, 16))
    of = np.repeat(np.arange(40), 6)
    features = centres[of] + random.normal(0, 0.05, (240, 16))
    new = centres[40:] + random.normal(0, 0.05, (8, 16))
    return features.astype(np.float32), labels, of, new.astype(np.float32)


def test_the_head_without_some_pictures_has_not_seen_them() -> None:
    features, labels, _, _ = series()
    fold = stratified(labels, 5, seed=0)
    found = source("random", features, labels, fold)
    out = fold == 2
    head = found.head_without(out)
    changed = features.copy()
    changed[out] = 1e3
    other = dataclasses.replace(found, features=changed).head_without(out)
    assert head is not None and other is not None
    np.testing.assert_array_equal(head.tensors["weight"], other.tensors["weight"])
    assert head.fixed == other.fixed  # nor did they choose its penalty
    assert found.head is not None
    assert (head.tensors["weight"] != found.head.tensors["weight"]).any()


def test_random_folds_flatter_and_the_record_says_by_how_much() -> None:
    features, labels, of, new = series()
    matched = match(features, labels, new, folds=5, seed=0, max_pictures=1000)
    found = source("matched", features, labels, matched.fold)
    held_out = dataclasses.replace(found.held_out, matched=matched)
    record = record_of(dataclasses.replace(found, held_out=held_out), matched.fold, "a penalty")
    assert record.optimism is not None
    assert record.optimism.random_top1 > record.optimism.top1 + 0.05
    assert record.distances is not None and record.clusters is not None
    assert record.distances.percentiles == PERCENTILES.tolist()
    assert record.distances.random[10] < record.distances.held_out[10]
    (chosen,) = [entry for entry in record.clusters if entry.chosen]
    assert chosen.count == matched.clusters and len(record.clusters) > 5
    assert "photos were held out (what there is) and chose a penalty" in record.words
    assert (record.held_out, record.fitted) == ((matched.fold != NEVER).sum(), 240)


def test_of_random_folds_no_optimism_is_known() -> None:
    features, labels, _, _ = series()
    fold = learnable(stratified(labels, 5, seed=0), labels)
    record = record_of(source("random", features, labels, fold), fold, "a penalty")
    assert record.optimism is None and record.distances is None and record.clusters is None
    assert (record.method, record.folds, record.held_out) == ("random", 5, 240)


def test_without_a_held_out_picture_nothing_was_chosen() -> None:
    features, labels, _, _ = series()
    nobody = np.full(len(labels), NEVER)
    found = source("validation", features, labels, nobody)
    record = record_of(found, nobody, "a penalty")
    assert (record.method, record.held_out, record.folds) == ("none", 0, 0)
    assert "no score of this run may choose anything" in record.words
    assert found.head is not None and out_of_fold(found.held_out, found.head) is None


def test_predictions_of_held_out_pictures_stand_beside_their_rows() -> None:
    features, labels, _, _ = series()
    fold = stratified(labels, 5, seed=0)
    fold[:100] = NEVER
    found = source("random", features, labels, fold)
    assert found.head is not None
    rows, probabilities = out_of_fold(found.held_out, found.head) or (None, None)
    assert rows is not None and probabilities is not None
    assert rows["sha256"].tolist() == [str(n) for n in range(100, 240)]
    assert probabilities.sum(1) == pytest.approx(1)
    assert (probabilities.argmax(1) == labels[100:]).mean() > 0.9
