from __future__ import annotations

import numpy as np
import pytest

from graftwork.data.folds import NEVER, dealt, learnable, most_typical, one_of, stratified


def counts(fold: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """`[folds, classes]`, pictures."""
    found = np.zeros((fold.max() + 1, labels.max() + 1), int)
    np.add.at(found, (fold, labels), 1)
    return found


def test_each_class_is_spread_evenly_over_the_folds() -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(7), [3, 10, 11, 1, 40, 2, 5]))
    found = counts(stratified(labels, 5, seed=0), labels)
    assert np.ptp(found, axis=0).max() == 1
    assert np.ptp(found.sum(axis=1)) <= 1, "small classes do not all land in the first fold"


def test_the_seed_alone_decides_who_of_a_class_goes_where() -> None:
    labels = np.repeat([0, 1], 20)
    one = stratified(labels, 4, seed=3)
    assert (one == stratified(labels, 4, seed=3)).all()
    assert (one != stratified(labels, 4, seed=4)).any()
    assert len(set(one[:4])) < 4 or len(set(one[4:8])) < 4, "not in turn: neighbours are siblings"


def random_groups(seed: int, pure: bool) -> tuple[np.ndarray, np.ndarray]:
    """60 groups of one to nine pictures, numbered with gaps, in no order."""
    random = np.random.default_rng(seed)
    groups = random.permutation(np.repeat(3 * np.arange(60) + 5, random.integers(1, 10, 60)))
    return groups, groups // 3 % 4 if pure else random.integers(0, 4, len(groups))


@pytest.mark.parametrize("pure", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_a_group_is_never_in_two_folds_and_classes_stay_balanced(pure: bool, seed: int) -> None:
    groups, labels = random_groups(seed, pure)
    fold = dealt(groups, labels, 5, seed)
    assert all(len(set(fold[groups == group])) == 1 for group in groups)
    found = counts(fold, labels)
    assert found.shape == (5, 4)
    assert np.ptp(found, axis=0).max() <= 9, "apart by the largest group at most"
    assert np.ptp(found.sum(axis=1)) <= 9


def test_the_largest_groups_are_dealt_first() -> None:
    """Two of six and four of three: dealt in any other order, folds of twelve would come about."""
    groups = np.repeat(np.arange(6), [3, 3, 3, 3, 6, 6])
    fold = dealt(groups, np.zeros(24, int), 4, seed=1)
    assert sorted(np.bincount(fold)) == [6, 6, 6, 6]


def test_a_small_class_counts_as_much_as_a_large_one() -> None:
    """Two series of it go into two folds, though both would fill the smallest fold up."""
    labels = np.repeat([0, 0, 0, 1, 1], [30, 20, 10, 2, 2])
    fold = dealt(np.repeat(np.arange(5), [30, 20, 10, 2, 2]), labels, 3, seed=0)
    assert len(set(fold[labels == 1])) == 2 and len(set(fold[labels == 0])) == 3


def test_a_small_class_in_mixed_groups_is_balanced_before_a_large_one() -> None:
    """Counted in pictures, both of its pictures would go where the large class has fewer."""
    groups = np.repeat(np.arange(4), [4, 4, 5, 2])
    labels = np.array([0, 0, 0, 1] * 2 + [0] * 7)
    assert len(set(dealt(groups, labels, 2, seed=0)[labels == 1])) == 2


def test_classes_of_one_group_each_do_not_all_land_in_the_first_fold() -> None:
    labels = np.repeat(np.arange(4), 3)
    assert sorted(np.bincount(dealt(labels, labels, 4, seed=0))) == [3, 3, 3, 3]


def test_the_seed_decides_among_groups_of_equal_size() -> None:
    groups, labels = np.repeat(np.arange(12), 2), np.zeros(24, int)
    found = {tuple(dealt(groups, labels, 3, seed)) for seed in range(5)}
    assert len(found) > 1 and all(set(np.bincount(fold)) == {8} for fold in found)


def test_pictures_whose_class_is_nowhere_else_always_train() -> None:
    labels = np.array([0, 0, 1, 1, 2, 3, 3])
    fold = np.array([0, 1, 1, 1, 0, 0, NEVER])
    assert learnable(fold, labels).tolist() == [0, 1, NEVER, NEVER, NEVER, 0, NEVER]
    nobody = np.full(7, NEVER)
    assert (learnable(nobody, labels) == nobody).all()
    assert fold.tolist() == [0, 1, 1, 1, 0, 0, NEVER], "what was given is left alone"


def test_one_fold_is_a_hold_out_by_itself() -> None:
    fold = np.array([2, 0, NEVER, 2, 1])
    assert one_of(fold, 2).tolist() == [0, NEVER, NEVER, 0, NEVER]
    assert one_of(fold, 0).tolist() == [NEVER, 0, NEVER, NEVER, NEVER]


def test_seeds_deal_differently_where_sizes_count_as_equal() -> None:
    groups = np.repeat(np.arange(12), np.arange(3, 15))
    labels = np.zeros(len(groups), int)
    strict = {dealt(groups, labels, 3, seed).tobytes() for seed in range(8)}
    loose = [dealt(groups, labels, 3, seed, loose=0.5) for seed in range(8)]
    assert len(strict) == 1 and len({fold.tobytes() for fold in loose}) > 4
    assert all(len(set(fold[groups == group])) == 1 for fold in loose for group in range(12))


def measured(losses: list[float]) -> np.ndarray:
    """Log losses alone."""
    return np.array(losses)[:, None]


def held(fold: np.ndarray) -> list[int]:
    return np.flatnonzero(fold == 0).tolist()


def test_the_most_typical_fold_is_as_hard_as_all() -> None:
    fold = np.array([0, 0, 1, 1, 2, 2, NEVER])
    found = most_typical([fold], measured([0.0, 0.2, 0.5, 1.5, 2.0, 4.0, 0.3]))
    assert held(found) == [2, 3] and (found[[0, 1, 4, 5, 6]] == NEVER).all()
    assert held(most_typical([fold], measured([3.0, 3.1, 0.1, 0.1, 2.0, 1.0, np.nan]))) == [4, 5]


def test_every_way_to_deal_is_looked_through() -> None:
    ways = [np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([0, 1, 1, 0])]
    assert held(most_typical(ways, measured([1.0, 2.0, 3.0, 4.0]))) == [0, 3]


def test_a_typical_fold_is_so_by_every_measure() -> None:
    """By loss alone the first fold is; its errors are not those of all."""
    fold = np.array([0, 0, 1, 1, 2, 2])
    errors = np.array([0, 0, 1, 0, 1, 1])
    hardness = np.stack([[1.0, 1.0, 1.0, 1.1, 0.9, 1.0], errors], 1)
    assert held(most_typical([fold], hardness[:, :1])) == [0, 1]
    assert held(most_typical([fold], hardness)) == [2, 3]


def test_a_fold_of_which_nothing_is_known_is_not_typical() -> None:
    fold, losses = np.array([0, 0, 1, 2, NEVER]), measured([np.nan, np.nan, 2.0, 1.0, 0.9])
    assert held(most_typical([fold], losses)) == [3]
    unknown = np.full((3, 2), np.nan)
    assert held(most_typical([np.array([NEVER, 3, 2])], unknown)) == [2], "nothing is, of any"
    nobody = np.full(3, NEVER)
    assert (most_typical([nobody], unknown) == NEVER).all()
