"""Which pictures to label next: those that a head is unsure of, and not the same one twice.

BADGE (Ash et al. 2020, ICLR): k-means++ on the gradient that a picture would give the head, were
its likeliest class the right one. A gradient is the outer product of what the answer lacks and of
the features, so that distances follow from two inner products and no gradient is ever written down:
the cost is linear in pictures.
"""

from __future__ import annotations

import numpy as np


def chosen(features: np.ndarray, probabilities: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Rows in the order in which they should be labelled, `[at most count]`.

    Args:
        features: `[n, num_features]` of pictures without labels.
        probabilities: `[n, num_classes]` of the head on them.
        count: of pictures.
        seed: of the draws.
    """
    lacks = probabilities.astype(np.float64).copy()
    lacks[np.arange(len(lacks)), lacks.argmax(axis=1)] -= 1
    sizes = (lacks**2).sum(axis=1) * (features.astype(np.float64) ** 2).sum(axis=1)
    generator = np.random.default_rng(seed)
    picked = [int(sizes.argmax())] if len(sizes) else []
    near = np.full(len(sizes), np.inf)
    while picked and len(picked) < min(count, len(sizes)):
        last = picked[-1]
        both = (lacks @ lacks[last]) * (features @ features[last]).astype(np.float64)
        near = np.minimum(near, np.maximum(sizes + sizes[last] - 2 * both, 0))
        near[picked] = 0
        if not near.any():  # all that are left are like one that was picked
            rest = np.setdiff1d(np.arange(len(sizes)), picked)
            return np.array([*picked, *rest[: count - len(picked)]])
        picked.append(int(generator.choice(len(near), p=near / near.sum())))
    return np.array(picked, np.int64)
