"""Folds: in which part of a cross-validation each picture is held out.

A fold is an integer of every picture, from 0; `NEVER` marks a picture that always trains.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NEVER = -1


def stratified(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """`[n]`: single pictures, each class spread evenly over the folds. Linear in pictures."""
    generator = np.random.default_rng(seed)
    fold = np.empty(len(labels), np.int64)
    start = 0
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        fold[members] = (start + np.arange(len(members))) % folds
        start += len(members)  # small classes do not all land in the first fold
    return fold


def dealt(
    groups: np.ndarray, labels: np.ndarray, folds: int, seed: int, loose: float = 0.0
) -> np.ndarray:
    """`[n]`: whole groups, the share of every class as even over the folds as they allow.

    Each group, the largest first, goes where the sum of squared shares grows least.

    Args:
        groups: integers `[n]`.
        labels: integers `[n]`, from 0.
        folds: at least 2.
        seed: decides among groups of equal size.
        loose: they count as equal up to this share of their size, so that seeds deal differently.
    """
    _, unit = np.unique(groups, return_inverse=True)
    counts = np.zeros((unit.max() + 1, labels.max() + 1))
    np.add.at(counts, (unit, labels), 1)
    shares = counts / np.maximum(counts.sum(0), 1)
    random = np.random.default_rng(seed)
    order = random.permutation(len(counts))
    sizes = shares[order].sum(1) * random.uniform(1 - loose, 1, len(order))
    order = order[np.argsort(-sizes, kind="stable")]
    held = np.zeros((folds, counts.shape[1]))
    of_unit = np.zeros(len(counts), np.int64)
    for index in order:
        share = shares[index]
        # Between folds that are equally far in these classes, the one with fewer pictures.
        growth = held @ share + 1e-6 * held.sum(1)
        of_unit[index] = growth.argmin()
        held[of_unit[index]] += share
    return of_unit[unit]


def learnable(fold: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The folds without pictures whose class is nowhere else: those always train.

    Of a class that training lacks nothing can be learnt; its pictures would say nothing of how
    well the others were, and blur it.
    """
    count = np.zeros((fold.max() + 2, labels.max() + 1), np.int64)  # NEVER is the last row
    np.add.at(count, (fold, labels), 1)
    elsewhere = (count.sum(0) - count)[fold, labels] > 0
    return np.where(elsewhere, fold, NEVER)


def one_of(fold: np.ndarray, which: int) -> np.ndarray:
    """The hold-out that one fold is: 0 for its pictures, `NEVER` for all others."""
    return np.where(fold == which, 0, NEVER)


def most_typical(ways: Sequence[np.ndarray], hardness: np.ndarray) -> np.ndarray:
    """The one fold, of all ways to deal, whose pictures are on average as hard as all of them.

    One fold alone is held out of networks: an easy or a hard one would misstate the score.

    Args:
        ways: folds `[n]`, each.
        hardness: `[n, k]`, k measures (such as loss and error) of each picture by a model that had
            not seen it; NaN where never. A fold of which none is known is not typical.

    Returns:
        the hold-out: 0 for its pictures, `NEVER` for all others.
    """
    known = ~np.isnan(hardness).any(1)
    overall = hardness[known].mean(0) if known.any() else np.zeros(hardness.shape[1])
    least, found = np.inf, None
    for fold in ways:
        for which in np.unique(fold[known & (fold != NEVER)]):
            mean = hardness[known & (fold == which)].mean(0)
            off = float((np.abs(mean - overall) / np.maximum(overall, 1e-12)).sum())
            if off < least:
                least, found = off, one_of(fold, int(which))
    return _first(ways[0]) if found is None else found


def _first(fold: np.ndarray) -> np.ndarray:
    used = fold[fold != NEVER]
    return one_of(fold, int(used.min())) if len(used) else fold
