"""Distance-matched folds: held-out pictures as far from training as new pictures are.

Photos come in series. One of a series, held out at random, has siblings in training; a new photo
has not, so that random folds are far too easy. Here whole clusters of the training pictures are
held out, and the number of clusters is the one at which the distances of held-out pictures to the
rest are distributed like those of new pictures to all of training: nearest-neighbour distance
matching (Mila et al. 2022; with clusters, Linnenbrink et al. 2024), in the space of the network's
features. The new pictures are looked at without their labels.

Of numbers of clusters that chance alone cannot tell apart the smallest is taken: what larger
clusters have in common beyond their nearest distance, new pictures lack too. Of few pictures chance
could be anything: there a cut does not count whose folds take most of the classes out of training,
so that nothing could be right about them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from graftwork.data.folds import NEVER, dealt, learnable, stratified

# Numbers of clusters that are tried, as shares of the pictures: from a few large ones to single
# pictures, which are random folds.
SHARES = (0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.12, 0.15, 0.18, 0.22, 0.3, 0.4, 0.6, 1.0)
PERCENTILES = np.arange(0, 101, 5)
QUANTILES = 200  # by which two distributions are compared
RESAMPLES = 50  # pairs of samples that show what chance does
ENOUGH = 0.9  # of the pictures that the nearest deal holds out
MOST = 0.5  # of a class that one fold may take out of training, on average over classes
DEALS = 3  # ways of dealing the same clusters to folds that are tried
BLOCK = 2048  # pictures whose similarities are computed at once


@dataclass(frozen=True)
class Matched:
    """Folds of whole clusters, and how like new pictures their held-out ones are."""

    groups: np.ndarray  # [n], the cluster of each picture
    fold: np.ndarray  # [n]
    # Number of clusters, Wasserstein distance; without numbers of which none can be held out.
    tried: list[tuple[int, float]]
    clusters: int  # the number that was taken
    new: np.ndarray  # distances of new pictures to all of training
    held_out: np.ndarray  # of held-out ones to the rest of it
    random: np.ndarray  # likewise, under random folds


class Match(Protocol):
    """`match`, or what knows its answer."""

    def __call__(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        new: np.ndarray,
        folds: int,
        seed: int,
        max_pictures: int,
    ) -> Matched: ...


def match(
    features: np.ndarray,
    labels: np.ndarray,
    new: np.ndarray,
    folds: int,
    seed: int,
    max_pictures: int,
) -> Matched:
    """Folds whose held-out pictures are as far from the rest as the new ones are from all.

    Args:
        features: float32 `[n, d]`, of the pictures to be dealt.
        labels: integers `[n]`, from 0.
        new: float32 `[m, d]`, of new pictures; m at least 1.
        folds: at least 2.
        seed: of the sample, and of what is even otherwise.
        max_pictures: clustering takes memory by the square of its pictures: of more, a stratified
            sample is clustered, and every other picture joins the cluster of its nearest one.
    """
    points, others = unit_length(features), unit_length(new)
    sample = _sample(labels, max_pictures, seed)
    some = points[sample]
    others = others[_sample(np.zeros(len(others), np.int64), max_pictures, seed)]
    similar = some @ some.T
    cuts = _clusterings(similar)
    distances = 1 - _nearest(others, some)[1]
    aim = _quantiles(distances)
    tried = [_best_deal(groups, labels[sample], similar, aim, folds, seed) for groups in cuts]
    best = _coarsest(tried, _chance(distances, len(sample), seed))
    nearest = _nearest(points, some)[0] if len(sample) < len(points) else np.arange(len(points))
    random = stratified(labels[sample], folds, seed)
    counts = [int(groups.max()) + 1 for groups in cuts]
    apart = [(count, deal.wasserstein) for count, deal in zip(counts, tried, strict=True)]
    return Matched(
        groups=cuts[best][nearest],
        fold=learnable(tried[best].fold[nearest], labels),
        tried=[pair for pair in apart if np.isfinite(pair[1])],
        clusters=counts[best],
        new=distances,
        held_out=tried[best].distances,
        random=held_out_distances(similar, random),
    )


@dataclass(frozen=True)
class _Deal:
    fold: np.ndarray
    distances: np.ndarray  # of held-out pictures
    wasserstein: float  # between them and those of new pictures
    largest: float  # part of a class that one fold takes out, mean over classes; MOST may be


def _coarsest(tried: Sequence[_Deal], chance: float) -> int:
    """The first of the deals, coarse to fine, that chance alone cannot tell from the nearest one.

    Few clusters leave classes with one alone, which then always trains, or with two, of which one
    is held out: what holds out far fewer pictures than the nearest deal does not count, nor what
    takes out more than `MOST` of a class, where there is another.
    """
    nearest = min(tried, key=lambda deal: deal.wasserstein)
    as_near = [
        deal.wasserstein <= nearest.wasserstein + chance
        and len(deal.distances) >= ENOUGH * len(nearest.distances)
        for deal in tried
    ]
    least = min(deal.largest for deal, near in zip(tried, as_near, strict=True) if near)
    spare = (deal.largest <= max(MOST, least) for deal in tried)
    return [near and left for near, left in zip(as_near, spare, strict=True)].index(True)


def _chance(new: np.ndarray, count: int, seed: int) -> float:
    """How far two samples of one distribution lie apart: of this many, and of as many as `new`."""
    random = np.random.default_rng(seed)
    pairs = ((random.choice(new, count), random.choice(new, len(new))) for _ in range(RESAMPLES))
    return float(np.mean([_wasserstein(one, _quantiles(other)) for one, other in pairs]))


def _best_deal(
    groups: np.ndarray,
    labels: np.ndarray,
    similar: np.ndarray,
    aim: np.ndarray,
    folds: int,
    seed: int,
) -> _Deal:
    """The way of dealing these clusters to folds that comes nearest to the new pictures.

    Args:
        aim: quantiles of the new pictures' distances.
    """
    deals = []
    for number in range(DEALS):
        fold = learnable(dealt(groups, labels, folds, seed + number), labels)
        distances = held_out_distances(similar, fold)
        off = _wasserstein(distances, aim)
        deals.append(_Deal(fold, distances, off, _largest_part(fold, labels)))
    return min(deals, key=lambda deal: deal.wasserstein)


def _largest_part(fold: np.ndarray, labels: np.ndarray) -> float:
    """The largest part of a class that one fold holds out, mean over the classes."""
    count = np.zeros((fold.max() + 2, labels.max() + 1))  # NEVER is the last row
    np.add.at(count, (fold, labels), 1)
    present = count.sum(0) > 0
    held = count[:-1].max(0, initial=0)
    return float((held[present] / count.sum(0)[present]).mean())


def unit_length(rows: np.ndarray) -> np.ndarray:
    """float32 `[n, d]` of length 1, so that products are cosines."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(length, 1e-12), np.float32)


def held_out_distances(similar: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Cosine distance of every held-out picture to the nearest one that trains with its fold.

    Args:
        similar: `[n, n]`, cosines.
        fold: `[n]`.
    """
    elsewhere = np.where(fold[:, None] == fold[None], -np.inf, similar)
    nearest = elsewhere[fold != NEVER].max(1, initial=-np.inf)
    return np.asarray(1 - nearest[np.isfinite(nearest)], np.float32)


def at_percentiles(distances: np.ndarray) -> list[float]:
    """The curve that reports draw; empty without pictures."""
    if not len(distances):
        return []
    return [round(float(value), 6) for value in np.percentile(distances, PERCENTILES)]


def _clusterings(similar: np.ndarray) -> list[np.ndarray]:
    """The pictures in fewer and more clusters: agglomerative, complete linkage.

    Each number of clusters once: pictures that are equally far from each other never part.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    count = len(similar)
    distance = 1 - similar[np.triu_indices(count, 1)].astype(np.float64)
    tree = linkage(np.maximum(distance, 0), "complete")
    wanted = sorted({max(2, round(share * count)) for share in SHARES})
    cuts = [fcluster(tree, clusters, "maxclust") - 1 for clusters in wanted]
    return list({int(groups.max()): groups for groups in cuts}.values())


def _sample(labels: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Indices of at most so many pictures, rising, each class by its share."""
    if len(labels) <= most:
        return np.arange(len(labels))
    parts = -(-len(labels) // most)
    return np.flatnonzero(stratified(labels, parts, seed) == 0)


def _nearest(rows: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index and cosine of the nearest of `among` for every row, in blocks."""
    starts: Sequence[int] = range(0, len(rows), BLOCK)
    index, cosine = [], []
    for start in starts:
        similar = rows[start : start + BLOCK] @ among.T
        index.append(similar.argmax(1))
        cosine.append(similar.max(1))
    return np.concatenate(index), np.concatenate(cosine)


def _wasserstein(distances: np.ndarray, aim: np.ndarray) -> float:
    """Earth mover's distance of two samples, the second by its quantiles: their mean difference."""
    return float(np.abs(_quantiles(distances) - aim).mean()) if len(distances) else float("inf")


def _quantiles(distances: np.ndarray) -> np.ndarray:
    """`[QUANTILES]`, of the middles of as many equal parts; what np.quantile takes ms for."""
    count = len(distances)
    middles = (np.arange(QUANTILES) + 0.5) / QUANTILES
    return np.interp(middles, (np.arange(count) + 0.5) / count, np.sort(distances))


def nearest_distances(rows: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Cosine distance of every row to the nearest of `among`."""
    return 1 - _nearest(unit_length(rows), unit_length(among))[1]
