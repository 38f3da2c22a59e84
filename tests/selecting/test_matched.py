"""Photos in series: held-out ones of matched folds are as far from the rest as new ones are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from graftwork.data.folds import NEVER, stratified
from graftwork.selecting.matched import (
    PERCENTILES,
    Matched,
    _coarsest,
    _Deal,
    at_percentiles,
    held_out_distances,
    match,
    nearest_distances,
    unit_length,
)

SERIES, EACH, CLASSES = 40, 6, 4
OF = np.repeat(np.arange(SERIES), EACH)
LABELS = OF % CLASSES


def photos(seed: int = 0, siblings: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Features of series of six that look alike, and of new photos.

    New ones are of other series of the same classes, or, as siblings, of these.
    """
    random = np.random.default_rng(seed)
    classes = np.arange(SERIES + 30) % CLASSES
    centres = np.eye(16)[classes] + random.normal(0, 0.3, (len(classes), 16))
    features = centres[OF] + random.normal(0, 0.03, (len(OF), 16))
    new = centres[:SERIES] if siblings else centres[SERIES:]
    new = new + random.normal(0, 0.03, new.shape)
    return features.astype(np.float32), new.astype(np.float32)


def matched(features: np.ndarray, new: np.ndarray, most: int = 1000, **changes: int) -> Matched:
    options = {"folds": 5, "seed": 0, "max_pictures": most, **changes}
    return match(features, LABELS, new, **options)


def torn_series(fold: np.ndarray) -> int:
    """In how many folds too many series lie."""
    return len(set(zip(OF, fold, strict=True))) - SERIES


@pytest.mark.parametrize("seed", range(3))
def test_whole_series_are_held_out_as_far_from_the_rest_as_new_photos_are(seed: int) -> None:
    features, new = photos(seed)
    found = matched(features, new, seed=seed)
    assert torn_series(found.fold) == 0
    assert found.clusters < 1.5 * SERIES, "a cluster is about a series or several"
    assert set(found.fold) == set(range(5)), "every class has several series: all are held out"
    points = unit_length(features)
    similar = points @ points.T
    assert found.held_out == pytest.approx(held_out_distances(similar, found.fold))
    random = stratified(LABELS, 5, seed)
    assert found.random == pytest.approx(held_out_distances(similar, random))
    off, flattering = (wasserstein_distance(d, found.new) for d in (found.held_out, found.random))
    assert off < flattering / 4
    pairs = set(zip(found.fold, LABELS, strict=True))
    assert len(pairs) == 5 * CLASSES, "each class is in every fold"


def test_where_new_photos_have_siblings_single_pictures_are_held_out() -> None:
    features, new = photos(siblings=True)
    found = matched(features, new)
    assert found.clusters > 2 * SERIES
    assert np.median(found.held_out) == pytest.approx(np.median(found.random), rel=0.3)


def test_of_ways_to_cut_that_chance_cannot_tell_apart_the_coarsest_is_taken() -> None:
    coarser = 0
    for seed in range(4):
        features, new = photos(seed)
        found = matched(features, new)
        counts, apart = (np.array(column) for column in zip(*found.tried, strict=True))
        assert list(counts) == sorted(set(counts)) and counts[-1] == len(features)
        (taken,) = apart[counts == found.clusters]
        assert taken == pytest.approx(wasserstein_distance(found.held_out, found.new), rel=0.15)
        limit, chance = apart.min(), two_samples_apart(found.new, len(features))
        assert taken <= limit + 1.3 * chance
        assert (apart[counts < found.clusters] > limit + 0.7 * chance).all()
        coarser += taken > limit
    assert coarser, "nearest and coarsest are not the same in all of them"


def two_samples_apart(new: np.ndarray, count: int) -> float:
    """By how much, on average, two samples of one distribution differ."""
    random = np.random.default_rng(0)
    pairs = ((random.choice(new, count), random.choice(new, len(new))) for _ in range(200))
    return float(np.mean([wasserstein_distance(*pair) for pair in pairs]))


def test_a_cut_that_holds_far_fewer_pictures_out_than_the_nearest_is_not_taken() -> None:
    """By distance alone the coarser cut will do."""

    def deal(pictures: int, apart: float) -> _Deal:
        return _Deal(np.zeros(0), np.zeros(pictures), apart, 0.2)

    tried = [deal(100, 0.03), deal(85, 0.012), deal(95, 0.013), deal(100, 0.01), deal(100, 0.011)]
    assert _coarsest(tried, 0.005) == 2
    assert _coarsest(tried, 0.001) == 3 and _coarsest(tried, 0.1) == 0


def test_a_cut_whose_folds_take_most_of_each_class_out_of_training_is_not_taken() -> None:
    """By distance alone it will do; so will anything where chance may be everything."""

    def deals(*largest: float) -> list[_Deal]:
        return [_Deal(np.zeros(0), np.zeros(9), 0.01, part) for part in largest]

    assert _coarsest(deals(0.9, 0.6, 0.5, 0.2), 0.1) == 2
    assert _coarsest(deals(0.9, 0.6, 0.7), 0.1) == 1, "no other leaves more"


@pytest.mark.parametrize("seed", [0, 2])
def test_of_few_photos_half_of_a_class_is_left_to_learn_from(seed: int) -> None:
    """New ones are of the same kind; by distance alone a fold took 63 and 72 % of a class."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), 20)
    kinds = np.eye(32)[labels]
    looks = kinds + random.normal(0, 0.2, kinds.shape)
    some = kinds[random.choice(len(kinds), 15, replace=False)]
    new = some + random.normal(0, 0.2, some.shape) * random.choice([0.6, 2], (15, 1))
    points, others = looks.astype(np.float32), new.astype(np.float32)
    fold = match(points, labels, others, folds=5, seed=seed, max_pictures=1000).fold
    held = [np.bincount(labels[fold == each], minlength=3) for each in range(5)]
    assert np.max(held, axis=0).mean() <= 10


def test_the_same_seed_deals_the_same_folds_and_another_one_others() -> None:
    features, new = photos()
    one, again, other = (matched(features, new, seed=seed) for seed in (1, 1, 11))
    assert (one.fold == again.fold).all() and one.tried == again.tried
    assert (one.fold != other.fold).any()


def test_neither_the_order_of_new_photos_nor_the_length_of_features_matters() -> None:
    features, new = photos()
    one, other = matched(features, new), matched(7 * features, new[::-1] * 3)
    assert (one.fold == other.fold).all()
    assert np.sort(one.new) == pytest.approx(np.sort(other.new), abs=1e-6)


@pytest.mark.parametrize(("most", "torn"), [(100, 3), (200, 0)])
def test_of_more_pictures_a_sample_is_clustered_and_the_others_join_their_nearest(
    most: int, torn: int
) -> None:
    features, new = photos()
    found = matched(features, new, most)
    assert len(found.fold) == len(features) and len(found.held_out) <= most
    assert max(count for count, _ in found.tried) <= most
    assert torn_series(found.fold) <= torn, (
        "a series follows those of its pictures that the sample has"
    )
    points = unit_length(features)
    everything = held_out_distances(points @ points.T, found.fold)
    off, flattering = (wasserstein_distance(d, found.new) for d in (everything, found.random))
    assert off < flattering / 2


def test_of_more_new_photos_a_sample_is_looked_at() -> None:
    features, new = photos()
    assert len(matched(features, np.tile(new, (4, 1)), most=100).new) == 60


def test_the_only_cluster_of_a_class_always_trains() -> None:
    features, new = photos()
    features[LABELS == 0] = [9, *[0] * 15]  # copies of one picture
    found = matched(features, new)
    assert (found.fold[LABELS == 0] == NEVER).all()
    assert set(found.fold[LABELS == 1]) == set(range(5))


def test_ways_to_cut_of_which_nothing_can_be_held_out_are_not_among_those_tried() -> None:
    """Two clusters that are the two classes; a record of them would hold an infinite distance."""
    random, labels = np.random.default_rng(0), np.repeat([0, 1], 20)
    features = np.eye(8, dtype=np.float32)[labels] + random.normal(0, 0.05, (40, 8))
    found = match(features, labels, features[::5], folds=5, seed=0, max_pictures=100)
    counts, apart = zip(*found.tried, strict=True)
    assert counts[0] == 3 and np.isfinite(apart).all()


def test_pictures_that_are_equally_far_from_each_other_are_cut_once_at_each_number() -> None:
    copies = np.eye(60, dtype=np.float32)[OF + 20 * (np.arange(len(OF)) % 2)]
    assert len(np.unique(copies, axis=0)) == 60
    found = matched(copies, np.eye(60, dtype=np.float32))
    assert [count for count, _ in found.tried] == [60, len(LABELS)]


def test_the_nearest_of_several_ways_to_deal_the_same_clusters_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    features, new = photos()
    several = [apart for _, apart in matched(features, new).tried]
    monkeypatch.setattr("graftwork.selecting.matched.DEALS", 1)
    one = [apart for _, apart in matched(features, new).tried]
    assert all(np.less_equal(several, one)) and any(np.less(several, one))


def test_a_single_picture_of_a_class_that_the_sample_lacks_always_trains() -> None:
    features, new = photos()
    labels = np.concatenate([LABELS[:-1], [CLASSES]])
    found = match(features, labels, new, folds=5, seed=0, max_pictures=100)
    assert found.fold[-1] == NEVER and (found.fold[:-1] != NEVER).all()


def test_one_picture_a_class_cannot_be_held_out() -> None:
    found = match(np.eye(3, dtype=np.float32), np.arange(3), np.ones((2, 3)), 5, 0, 100)
    assert (found.fold == NEVER).all() and not found.tried
    assert at_percentiles(found.held_out) == [] and len(found.new) == 2


def test_distances_to_the_nearest_by_hand() -> None:
    turns = np.radians([0, 60, 90, 180])
    points = unit_length(np.stack([np.cos(turns), np.sin(turns)], 1) * 5)
    fold = np.array([0, 0, 1, NEVER])
    expected = [1, 1 - np.sqrt(3) / 2, 1 - np.sqrt(3) / 2]
    assert held_out_distances(points @ points.T, fold) == pytest.approx(expected, abs=1e-6)
    assert nearest_distances(points[2:] * 3, points[:2] / 9) == pytest.approx(
        [1 - np.sqrt(3) / 2, 1.5], abs=1e-6
    )
    assert len(held_out_distances(points @ points.T, np.full(4, NEVER))) == 0


def test_blocks_do_not_change_what_is_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    features, new = photos()
    whole = nearest_distances(features, new)
    monkeypatch.setattr("graftwork.selecting.matched.BLOCK", 7)
    assert nearest_distances(features, new) == pytest.approx(whole, abs=1e-6)


def test_the_curve_that_reports_draw() -> None:
    curve = at_percentiles(np.linspace(0, 1, 11))
    assert len(curve) == len(PERCENTILES) and (curve[0], curve[10], curve[-1]) == (0, 0.5, 1)
