"""How many new pictures a model will recognise, told without their labels.

Held-out pictures say how often a model is right that is so sure of itself: at the temperature that
suits them its probabilities mean what they say (Guo et al. 2017, arXiv 1706.04599). How sure it is
of the pictures of where it will be used then says how often it is right there: their mean
confidence (Guillory et al. 2021, arXiv 2107.03315, compare such means; Garg et al. 2022, arXiv
2201.04234, their distribution). Held-out pictures are as far from training as new ones are for the
network as it was pretrained; training makes them look alike, which this sees and they do not.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from graftwork.metrics.bootstrap import Interval, resamples
from graftwork.selecting.tempered import confidences, log_losses

EXPECTED = "expected_top1"  # among selection scores
OF_NEW = 1  # added to the seed of their draws: they are not drawn as held-out pictures are


def expected_top1(
    held_out: np.ndarray,
    labels: np.ndarray,
    new: np.ndarray,
    *,
    samples: int,
    confidence: float,
    seed: int,
) -> Interval:
    """Share of new pictures that is expected to be recognised, with a percentile interval.

    The interval is of the chance by which these pictures are there, held-out and new ones both
    drawn again. That confidence may mislead on new pictures is not part of it.

    Args:
        held_out: probabilities `[n, num_classes]` of pictures that the model had not seen.
        labels: theirs, `[n]`.
        new: probabilities `[m, num_classes]`, m at least 1.
        samples: of the bootstrap.
        confidence: of the interval.
        seed: of the draws.
    """
    losses, sure = log_losses(held_out, labels), confidences(new)
    value = sure[losses.mean(axis=1).argmin()].mean()
    suits = [(rows @ losses.T).argmin(axis=1) for rows in resamples(len(labels), samples, seed)]
    means = [rows @ sure.T / len(new) for rows in resamples(len(new), samples, seed + OF_NEW)]
    drawn = np.concatenate(means)[np.arange(samples), np.concatenate(suits)]
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(value), float(low), float(high))


def selection_score(scores: Mapping[str, Mapping[str, float]]) -> Mapping[str, float]:
    """What may choose: the share of new pictures that is expected to be recognised, or, where none
    were asked about, top-1 of held-out ones; value, low, high, n. Empty where there is neither.

    Args:
        scores: selection scores as in metrics.json.
    """
    return scores.get(EXPECTED) or scores.get("top1") or {}


def as_chosen(scores: Mapping[str, Mapping[str, float]]) -> dict[str, Mapping[str, float]]:
    """Selection scores whose `top1` is the one that may choose."""
    score = selection_score(scores)
    return {**scores, "top1": score} if score else dict(scores)
