"""Features in directions of known curvature, so that L-BFGS has an even bowl to walk down.

Fewer pictures than features: the features are rotated to the span of the pictures, which is exact,
because the L2 optimum lies in it. More: the matrix is used as it is, in blocks of rows; nothing of
size pictures x pictures exists, and there is no second copy of the features.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

BLOCK_BYTES = 64 << 20  # of features or logits at a time
Lift = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Space:
    """Features, seen in directions of known curvature.

    `logits = (rows - mean) @ basis.T @ w` where `basis` may be None (the identity).
    """

    rows: np.ndarray  # float32 [n, m]
    mean: np.ndarray  # float32 [m]
    basis: np.ndarray | None  # float32 [r, m], orthogonal rows in units of the scaled features
    curvature: np.ndarray  # [r], mean square of the pictures along each direction

    def directions(self, pictures: np.ndarray) -> np.ndarray:
        """float32 `[pictures, r]`: these pictures along each direction."""
        rows = self.rows[pictures]
        return rows if self.basis is None else (rows - self.mean) @ self.basis.T

    def to_rows(self, weights: np.ndarray) -> np.ndarray:
        """`[..., r]` in directions to `[..., m]` on `rows`."""
        return weights if self.basis is None else weights @ self.basis

    def to_directions(self, gradient: np.ndarray) -> np.ndarray:
        """The adjoint of `to_rows`."""
        return gradient if self.basis is None else gradient @ self.basis.T


@dataclass(frozen=True)
class Rotated:
    """Scaled features in their directions, and the way back."""

    scale: np.ndarray  # [num_features]
    mean: np.ndarray  # [num_features]
    space: Space
    lift: Lift  # weights on directions to weights on scaled features


_last: dict[tuple[str, float], Rotated] = {}


def rotated(features: np.ndarray, power: float, *, keep: bool) -> Rotated:
    """Scale, mean and directions of these features.

    Args:
        power: see `scale_of`.
        keep: remember the result until other features come: the jobs of a sweep over heads look
            at the same ones, and the rotation takes longer than many a head.
    """
    if not keep:
        return _rotated(features, power)
    key = hashlib.sha256(np.ascontiguousarray(features).data).hexdigest(), power
    if key not in _last:
        _last.clear()
        _last[key] = _rotated(features, power)
    return _last[key]


def forget() -> None:
    """Lets go of the features that were looked at last."""
    _last.clear()


def _rotated(features: np.ndarray, power: float) -> Rotated:
    scale, mean = scale_of(features, power)
    return Rotated(scale, mean, *space_of(features, mean, scale))


def scale_of(features: np.ndarray, power: float) -> tuple[np.ndarray, np.ndarray]:
    """Per feature, so that the mean squared length of a picture is 1; and the mean."""
    mean = features.mean(0, dtype=np.float64)
    variance = np.zeros_like(mean)
    for block in np.array_split(features, max(1, features.nbytes // BLOCK_BYTES)):
        variance += np.square(block - mean).sum(0)
    deviation = np.sqrt(variance / len(features))
    living = deviation > 1e-6 * max(deviation.max(), 1e-12)  # constant features say nothing
    scale = np.where(living, 1 / np.where(living, deviation, 1) ** power, 0)
    length = np.sqrt(np.square(scale * deviation).sum())
    return scale / (length or 1.0), mean


def space_of(features: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> tuple[Space, Lift]:
    """Directions by the eigenvectors of the smaller Gram matrix, and the way back to features."""
    n, d = features.shape
    if n < d:
        scaled = ((features - mean) * scale).astype(np.float32)
        values, vectors = _spectrum(scaled @ scaled.T)
        length = np.sqrt(values)
        rows = np.ascontiguousarray((vectors * length).astype(np.float32))
        back = (vectors / length).T @ scaled
        zero = np.zeros(rows.shape[1], np.float32)
        return Space(rows, zero, None, values / n), lambda weights: weights @ back
    gram = np.zeros((d, d))
    for block in np.array_split(features, max(1, features.nbytes // BLOCK_BYTES)):
        scaled = ((block - mean) * scale).astype(np.float32)
        gram += scaled.T @ scaled
    values, vectors = _spectrum(gram)
    basis = np.ascontiguousarray((vectors.T * scale).astype(np.float32))
    space = Space(features, mean.astype(np.float32), basis, values / n)
    return space, lambda weights: weights @ vectors.T


def _spectrum(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors that rounding has not made up."""
    values, vectors = np.linalg.eigh(gram.astype(np.float64))
    real = values > 1e-7 * values[-1]
    return values[real], vectors[:, real]


def on_rows(space: Space, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`[problems x classes, m]` and `[problems x classes]`: weights and biases for raw rows."""
    flat = weights.reshape(-1, weights.shape[-1])
    matrix = space.to_rows(flat[:, :-1])
    return matrix, flat[:, -1] - matrix @ space.mean


def logits_of(space: Space, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """`[n, problems, num_classes]`."""
    matrix, bias = on_rows(space, weights)
    return (rows @ matrix.T + bias).reshape(len(rows), *weights.shape[:2])
