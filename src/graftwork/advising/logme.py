"""LogME: how well features explain labels, before anything is trained on them.

The largest log evidence of Bayesian linear regression from features to each class's one-hot labels,
a picture's share of it, averaged over classes (You et al. 2021, "LogME: Practical Assessment of
Pre-trained Models for Transfer Learning", ICML). With prior precision a and noise precision b of a
class, features F = U S V' `[n, d]` and labels y, everything follows from S and U'y:

    2 log p(y) = d log a + n log b - log det(a I + b F'F) - b |F m - y|^2 - a |m|^2 - n log 2 pi

where m is the mean of the weights. a and b follow from each other by MacKay's fixed point (1992).
"""

from __future__ import annotations

import numpy as np

ROUNDS, TOLERANCE = 100, 1e-4  # of the fixed point; relative change of a / b
TINY = 1e-9  # where a class is fitted exactly, b has no end


def logme(features: np.ndarray, labels: np.ndarray, num_classes: int) -> float:
    """LogME in nats a picture; only differences between networks mean anything.

    Args:
        features: `[n, d]`.
        labels: integers `[n]`.
    """
    left, singular, _ = np.linalg.svd(features.astype(np.float64), full_matrices=False)
    targets = labels[:, None] == np.arange(num_classes)
    found = [evidence(left.T @ one, one, singular**2, features.shape[1])[0]
             for one in targets.T.astype(np.float64)]  # fmt: skip
    return float(np.mean(found))


def evidence(
    seen: np.ndarray, target: np.ndarray, squares: np.ndarray, width: int
) -> tuple[float, float, float]:
    """Log evidence a picture at its largest, prior precision and noise precision.

    Args:
        seen: U'y `[k]`.
        target: y `[n]`.
        squares: of the singular values, `[k]`.
        width: d.
    """
    count, parts = len(target), seen**2
    beyond = max(float(target @ target - parts.sum()), 0.0)  # what no weights can explain

    def fit(ratio: float) -> tuple[float, float]:
        """|m|^2 and |F m - y|^2."""
        rest = parts * (ratio / (squares + ratio)) ** 2
        return float((parts * squares / (squares + ratio) ** 2).sum()), float(rest.sum()) + beyond

    prior = noise = 1.0
    for _ in range(ROUNDS):
        ratio = prior / noise
        weights, rest = fit(ratio)
        used = float((squares / (squares + ratio)).sum())
        prior, noise = used / (weights + TINY), (count - used) / (rest + TINY)
        if abs(prior / noise - ratio) <= TOLERANCE * ratio:
            break
    weights, rest = fit(prior / noise)
    determinant = np.log(prior + noise * squares).sum() + (width - len(squares)) * np.log(prior)
    twice = width * np.log(prior) + count * np.log(noise) - determinant
    twice -= noise * rest + prior * weights + count * np.log(2 * np.pi)
    return float(twice / (2 * count)), prior, noise
