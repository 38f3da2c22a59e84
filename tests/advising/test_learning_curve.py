"""Parts of the labels, the law through them, and which pictures to label next."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from graftwork.advising.learning_curve import DRAWS, SHARES, Point, learning_curve, part
from graftwork.advising.next_labels import chosen
from graftwork.advising.power_law import fitted
from graftwork.data.folds import NEVER, stratified
from graftwork.transfer.class_means import ClassMeans
from graftwork.transfer.parts import Examples


def examples(n: int = 240, spread: float = 2.0) -> Examples:
    generator = np.random.default_rng(0)
    labels = np.arange(n) % 3
    features = generator.normal(0, spread, (n, 8)) + 3 * np.eye(3, 8)[labels]
    return Examples(features.astype(np.float32), labels, 3, stratified(labels, 4, 0), 0)


def test_a_part_holds_every_class_and_is_the_same_again() -> None:
    labels = np.repeat([0, 1, 2], [100, 20, 3])
    rows = part(labels, 0.1, [0, 1])
    assert np.bincount(labels[rows]).tolist() == [10, 2, 1]
    assert (rows == part(labels, 0.1, [0, 1])).all() and (rows != part(labels, 0.1, [0, 2])).any()


def test_more_labels_are_better_and_all_points_judge_the_same_pictures() -> None:
    known = examples()
    fold = known.fold.copy()
    fold[:12] = NEVER
    told: list[int] = []
    points = learning_curve(ClassMeans([0.0]), replace(known, fold=fold), told.append)
    assert len(points) == told[-1] == DRAWS * (len(SHARES) - 1) + 1
    assert {len(point.right) for point in points} == {240 - 12}
    accuracy = [np.mean([p.right.mean() for p in points if p.share == share]) for share in SHARES]
    assert accuracy[0] < accuracy[2] < accuracy[-1] and accuracy[-1] > 0.6
    assert points[-1].labels == pytest.approx(12 + 228 * 3 / 4)
    again = learning_curve(ClassMeans([0.0]), replace(known, fold=fold))
    assert all((a.right == b.right).all() for a, b in zip(points, again, strict=True))


def test_no_head_is_judged_on_what_it_learnt_from() -> None:
    """Features that say nothing but which picture it is: whoever saw it would be right."""
    known = examples()
    noise = np.random.default_rng(1).normal(size=(240, 400)).astype(np.float32)
    points = learning_curve(ClassMeans([0.0]), replace(known, features=noise))
    assert points[-1].right.mean() < 0.45


def points_of(law, labels, pictures: int = 1500) -> list[Point]:
    generator = np.random.default_rng(0)
    return [Point(n, n / max(labels), generator.random(pictures) >= law(n)) for n in labels]


def test_a_law_is_found_again_and_its_band_holds_the_truth() -> None:
    def law(n: float) -> float:
        return float(0.05 + 1.2 * n**-0.5)

    points = points_of(law, [20.0, 40.0, 80.0, 160.0, 320.0, 640.0])
    expected, gain = fitted(points, 1280, 0)
    error, low, high = expected.at(1280)
    assert error == pytest.approx(law(1280), abs=0.01) and low < law(1280) < high
    assert gain.low < law(640) - law(1280) < gain.high and gain.value > 0
    assert (expected.low <= expected.error).all() and (expected.error <= expected.high).all()


def test_where_labels_bring_nothing_nothing_is_promised() -> None:
    _, gain = fitted(points_of(lambda _: 0.2, [20.0, 80.0, 320.0, 640.0]), 1280, 0)
    assert gain.value == pytest.approx(0, abs=0.01) and gain.high < 0.02


def test_unsure_pictures_are_proposed_and_no_two_alike() -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(60, 5)).astype(np.float32)
    features[1:20] = features[0]  # twenty times the same
    answers = np.full((60, 2), 0.5)
    answers[40:] = [0.999, 0.001]  # sure of these
    rows = chosen(features, answers, 10, 0)
    assert len(set(rows.tolist())) == 10 and (rows < 40).sum() >= 9 and (rows < 20).sum() <= 1
    assert (rows == chosen(features, answers, 10, 0)).all()
    assert sorted(chosen(features, answers, 99, 0)) == list(range(60))
    assert len(chosen(features[:0], answers[:0], 5, 0)) == 0
