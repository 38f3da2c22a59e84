"""What held-out pictures say of heads on stored features: which one, and how sure it may be."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np

from graftwork.data.folds import NEVER, learnable, stratified
from graftwork.metrics.softmax import softmax

MANY = 4_000_000  # numbers in the feature matrix from which all cores are worth using
OWN_FOLDS = 5  # where nothing is held out and a constant has to be found all the same


@dataclass(frozen=True)
class Choice:
    """One of several heads, as pictures that were held out of it speak for it."""

    index: int
    sharpness: float  # its scores times this are logits
    log_loss: float  # nats, of these; NaN where nothing was held out
    top1: float  # likewise
    # float32 [n, num_classes]: softmax of the logits; NaN where a picture was never held out
    probabilities: np.ndarray


def choose(scores: Sequence[np.ndarray], labels: np.ndarray, fold: np.ndarray) -> Choice:
    """The first head whose log loss is within one standard error of the smallest.

    Scores of most heads are no logits: a margin or a distance does not say how sure it is. Each
    head's are multiplied by the one number that makes the log loss of held-out pictures smallest
    (temperature scaling, Guo et al. 2017), of heads that had not seen them. One number of so many
    pictures hardly flatters that loss, and leaves which class is first as it is.

    Args:
        scores: of each head, the most cautious first: `[n, num_classes]`, of every picture by its
            like that had not seen it; rows that were never held out are not looked at.
        labels: `[n]`.
        fold: `[n]`, see graftwork.data.folds.
    """
    out = fold != NEVER
    said = [one[out].astype(np.float64) for one in scores]
    right = labels[out]
    found = np.full(scores[0].shape, np.nan, np.float32)
    if not len(right):
        return Choice(0, 1.0, np.nan, np.nan, found)
    sharp = [sharpness(one, right) for one in said]
    losses = [log_losses(by * one, right) for by, one in zip(sharp, said, strict=True)]
    best = one_standard_error(losses)
    found[out] = softmax(sharp[best] * said[best])
    top1 = float((said[best].argmax(1) == right).mean())
    return Choice(best, sharp[best], float(losses[best].mean()), top1, found)


def sharpness(scores: np.ndarray, labels: np.ndarray) -> float:
    """The factor of the scores at which their softmax has the smallest log loss.

    The right class is taken for a little less than certain, as in Platt (1999): for a head that is
    always right no finite factor would be the best. 0 where the scores say nothing: all classes are
    then alike.

    Args:
        scores: float64 `[n, num_classes]`.
        labels: `[n]`, n > 0.
    """
    centred = scores - scores.mean(1, keepdims=True)
    doubt = 1 / (len(labels) + 2)
    goal = (1 - doubt) * centred[np.arange(len(labels)), labels].mean()
    spread = float(np.sqrt(np.square(centred).mean()))
    if goal <= 0 or spread == 0:
        return 0.0
    low, high, at = 0.0, np.inf, 1 / spread
    for _ in range(100):  # Newton's steps, kept between what is too little and too much
        chances = _exponentials(at * centred)
        chances /= chances.sum(1, keepdims=True)
        mean = (chances * centred).sum(1)
        slope = float(mean.mean() - goal)  # of the log loss, rising
        if abs(slope) <= 1e-9 * spread:
            break
        low, high = (low, at) if slope > 0 else (at, high)
        bend = float(((chances * np.square(centred)).sum(1) - np.square(mean)).mean())
        step = at - slope / bend if bend > 0 else np.inf
        at = step if low < step < min(high, 8 * at) else min((low + high) / 2, 2 * at)
    return float(at)


def one_standard_error(losses: Sequence[np.ndarray]) -> int:
    """The first head that is no worse than the best by more than the best's standard error
    (Breiman et al. 1984, section 3.4.3).

    Beyond some strength the loss hardly changes, and chance would choose. It would choose too
    little caution where pictures come in series: one of a series is held out, the others give it
    away.

    Args:
        losses: of each head, the most cautious first, `[n]` over all held-out pictures.
    """
    means = [found.mean() for found in losses]
    best = losses[int(np.argmin(means))]
    if len(best) < 2:
        return int(np.argmin(means))
    limit = best.mean() + best.std(ddof=1) / np.sqrt(len(best))
    return next(index for index, mean in enumerate(means) if mean <= limit)


def own_folds(fold: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    """The folds that are given; where nothing is held out, single pictures at random.

    What is then found is the head's own affair, and no score of it is told.
    """
    if (fold != NEVER).any():
        return fold
    return learnable(stratified(labels, OWN_FOLDS, seed), labels)


def few_threads(size: int) -> AbstractContextManager[object]:
    """Small products gain little from threads, and lose much where the cores are shared; with one
    thread their last bits do not depend on the machine's number of cores either.

    Args:
        size: numbers in the feature matrix.
    """
    if size >= MANY:
        return nullcontext()
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, user_api="blas")


def log_losses(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """`[n]`, float64."""
    logits = logits - logits.max(1, keepdims=True)
    right = logits[np.arange(len(logits)), labels].astype(np.float64)
    return np.asarray(np.log(np.exp(logits).sum(1)) - right)


def _exponentials(logits: np.ndarray) -> np.ndarray:
    return np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
