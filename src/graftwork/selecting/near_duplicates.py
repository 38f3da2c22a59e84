"""Pictures that are nearly the same, by their features: connected components of similar pairs."""

from __future__ import annotations

import numpy as np

BLOCK = 1024  # rows compared with as many at once: a few MiB, however many there are
ROUNDING = 1e-6  # of a cosine in float32: a picture's own must not miss a bound of 1


def components(features: np.ndarray, cosine: float) -> np.ndarray:
    """Which component each picture is in: two are linked by a cosine of at least `cosine`.

    Every pair is compared, block by block, so time grows with the square of the pictures and memory
    does not. A picture whose features are all zero is linked to none.

    Args:
        features: float32 `[pictures, num_features]`.

    Returns:
        int64 `[pictures]`, the first picture's position in each component.
    """
    norms = np.linalg.norm(features, axis=1)
    nonzero = np.flatnonzero(norms)
    roots = np.arange(len(features))
    roots[nonzero] = nonzero[_of_unit(features[nonzero] / norms[nonzero, None], cosine)]
    return roots


def _of_unit(unit: np.ndarray, cosine: float) -> np.ndarray:
    """`components` of features of length 1."""
    bound, roots = cosine - ROUNDING, np.arange(len(unit))
    for row in range(0, len(unit), BLOCK):
        for column in range(row, len(unit), BLOCK):
            similar = unit[row : row + BLOCK] @ unit[column : column + BLOCK].T >= bound
            left, right = np.nonzero(similar)
            roots = _linked(roots, row + left, column + right)
    return roots


def _linked(roots: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Components joined by these pairs of pictures; the smaller position names the whole."""
    pairs = np.stack([roots[left], roots[right]], axis=1)
    pairs = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)
    if not len(pairs):
        return roots
    above: dict[int, int] = {}

    def top(name: int) -> int:
        while (higher := above.get(name, name)) != name:
            above[name] = name = above.get(higher, higher)  # halves the way for the next
        return name

    for one, other in pairs.tolist():
        low, high = sorted((top(one), top(other)))
        above[high] = low
    moved = np.array(sorted(above))
    joined = roots.copy()
    where = np.isin(roots, moved)
    heads = np.array([top(name) for name in moved.tolist()])
    joined[where] = heads[np.searchsorted(moved, roots[where])]
    return joined
