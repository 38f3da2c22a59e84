"""Regularised multinomial logistic regression on stored features: the converged linear probe.

For each problem p it minimises

    sum_i w_i CE(softmax(x_i W^T + b), y_i) / sum_i w_i  +  strength_p / 2 * ||W||^2

(b is not penalised), in scikit-learn's terms `C = 1 / (strength * sum_i w_i)`. Three things make
it fast, and none of them changes the solution:

- fewer pictures than features: the features are rotated to the span of the pictures, which is
  exact, because the L2 optimum lies in it;
- every direction is scaled by its expected curvature (mean square + strength), so that L-BFGS
  converges in tens of steps whatever the spectrum;
- all folds of the cross-validation take their steps together: one matrix product serves them all,
  held-out pictures having weight 0, and each strength starts where the stronger one ended.

More pictures than features: the matrix is used as it is, in blocks of rows; nothing of size
pictures x pictures exists, and there is no second copy of the features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np

HISTORY = 8  # pairs that L-BFGS remembers
MAX_STEPS = 300
MANY = 4_000_000  # numbers in the feature matrix from which all cores are worth using
BLOCK_BYTES = 64 << 20  # of logits at a time


@dataclass(frozen=True)
class Probe:
    """A fitted probe, for features as they are stored."""

    weight: np.ndarray  # float32 [num_classes, num_features]
    bias: np.ndarray  # float32 [num_classes]
    strength: float
    strengths: list[float]  # tried, strongest first
    log_loss: list[float]  # of each, over all held-out pictures
    accuracy: list[float]


@dataclass(frozen=True)
class Space:
    """Features, seen in directions of known curvature.

    `logits = (rows - mean) @ basis.T @ w` where `basis` may be None (the identity).
    """

    rows: np.ndarray  # float32 [n, m]
    mean: np.ndarray  # float32 [m]
    basis: np.ndarray | None  # float32 [r, m], orthogonal rows in units of the scaled features
    curvature: np.ndarray  # [r], mean square of the pictures along each direction

    def to_rows(self, weights: np.ndarray) -> np.ndarray:
        """`[..., r]` in directions to `[..., m]` on `rows`."""
        return weights if self.basis is None else weights @ self.basis

    def to_directions(self, gradient: np.ndarray) -> np.ndarray:
        """The adjoint of `to_rows`."""
        return gradient if self.basis is None else gradient @ self.basis.T


def fit_probe(
    features: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    *,
    strengths: Sequence[float],
    folds: int,
    standardise: float,
    seed: int,
) -> Probe:
    """The probe whose strength has the smallest log loss on held-out folds, fitted on everything.

    Args:
        features: float32 `[n, num_features]`.
        labels: integers `[n]` in `[0, num_classes)`.
        strengths: L2 penalties to choose from; one alone is taken without cross-validation.
        folds: of the stratified cross-validation, at least 2.
        standardise: each feature is divided by its standard deviation to this power before it is
            penalised: 0 leaves proportions as they are, 1 makes all features equal.
        seed: of the folds.
    """
    with _threads(features.size):
        return _fit(features, labels, num_classes, strengths, folds, standardise, seed)


def _threads(size: int) -> AbstractContextManager[object]:
    """Small products gain little from threads, and lose much where the cores are shared; with one
    thread their last bits do not depend on the machine's number of cores either."""
    if size >= MANY:
        return nullcontext()
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, user_api="blas")


def _fit(
    features: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    strengths: Sequence[float],
    folds: int,
    standardise: float,
    seed: int,
) -> Probe:
    scale, mean = _scale(features, standardise)
    space, lift = _space(features, mean, scale)
    tried = sorted(set(strengths), reverse=True)
    losses: list[float] = []
    accuracies: list[float] = []
    best, start = 0, None
    if len(tried) > 1:
        fold = stratified_folds(labels, folds, seed)
        losses, accuracies, paths = _cross_validate(space, labels, num_classes, tried, fold)
        best = int(np.argmin(losses))
        start = paths[best].mean(0, keepdims=True)  # close to the end already
    everything = np.ones((1, len(labels)), np.float32)
    weights = solve(space, labels, num_classes, everything, tried[best], start, 1e-5)[0]
    weight = lift(weights[:, :-1]) * scale
    bias = weights[:, -1] - weight @ mean
    return Probe(
        weight.astype(np.float32), bias.astype(np.float32), tried[best], tried, losses, accuracies
    )


def _scale(features: np.ndarray, power: float) -> tuple[np.ndarray, np.ndarray]:
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


def _space(
    features: np.ndarray, mean: np.ndarray, scale: np.ndarray
) -> tuple[Space, Callable[[np.ndarray], np.ndarray]]:
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


def stratified_folds(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """`[n]`: the fold in which each picture is held out; each class is spread evenly."""
    generator = np.random.default_rng(seed)
    fold = np.empty(len(labels), np.int64)
    start = 0
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        fold[members] = (start + np.arange(len(members))) % folds
        start += len(members)  # small classes do not all land in the first fold
    return fold


def _cross_validate(
    space: Space, labels: np.ndarray, num_classes: int, strengths: list[float], fold: np.ndarray
) -> tuple[list[float], list[float], list[np.ndarray]]:
    """Of each strength: log loss and accuracy over all held-out pictures, weights of all folds."""
    used = np.unique(fold)
    training = (fold[None] != used[:, None]).astype(np.float32)
    losses, accuracies, paths = [], [], []
    weights = None
    for strength in strengths:
        weights = solve(space, labels, num_classes, training, strength, weights, 1e-3)
        loss, hits = 0.0, 0
        for which, one in zip(used, weights, strict=True):
            out = fold == which
            logits = _logits(space, space.rows[out], one[None])[:, 0]
            logits -= logits.max(1, keepdims=True)
            right = logits[np.arange(len(logits)), labels[out]]
            loss += float((np.log(np.exp(logits).sum(1)) - right).sum())
            hits += int((logits.argmax(1) == labels[out]).sum())
        losses.append(loss / len(labels))
        accuracies.append(hits / len(labels))
        paths.append(weights)
    return losses, accuracies, paths


def solve(
    space: Space,
    labels: np.ndarray,
    num_classes: int,
    sample_weights: np.ndarray,
    strength: float,
    start: np.ndarray | None,
    tolerance: float,
) -> np.ndarray:
    """L-BFGS on several weightings of the pictures at once.

    Args:
        sample_weights: float32 `[problems, n]`.
        start: `[problems, num_classes, r + 1]`, biases last; None: zeros.
        tolerance: largest gradient, relative to the one at zero weights.

    Returns:
        float32 `[problems, num_classes, r + 1]`.
    """
    problems, directions = len(sample_weights), len(space.curvature)
    spread = (1 - 1 / num_classes) / num_classes  # p (1 - p) of an even guess
    scale = np.ones(directions + 1, np.float32) / np.sqrt(spread)
    scale[:-1] = 1 / np.sqrt(spread * space.curvature + strength)
    zeros = np.zeros((problems, num_classes, directions + 1), np.float32)
    objective = _Objective(space, labels, sample_weights, strength, scale)
    _, at_zero = objective(zeros)
    goal = tolerance * np.abs(at_zero).max()
    point = zeros if start is None else start / scale
    return _lbfgs(objective, point, goal) * scale


class _Objective:
    """Value `[problems]` and gradient of scaled weights, streamed over blocks of pictures."""

    def __init__(
        self,
        space: Space,
        labels: np.ndarray,
        sample_weights: np.ndarray,
        strength: float,
        scale: np.ndarray,
    ) -> None:
        self.space, self.labels, self.strength, self.scale = space, labels, strength, scale
        self.shares = np.ascontiguousarray(sample_weights.T, np.float32)
        self.shares /= self.shares.sum(0)

    def __call__(self, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        weights = point * self.scale
        problems, classes, width = weights.shape
        decay = weights.copy()
        decay[..., -1] = 0
        value = 0.5 * self.strength * np.square(decay, dtype=np.float64).sum((1, 2))
        on_rows, bias = _on_rows(self.space, weights)
        gradient = np.zeros(on_rows.shape, np.float32)
        gradient_bias = np.zeros(bias.shape)
        block = max(1, BLOCK_BYTES // (4 * problems * classes))
        for first in range(0, len(self.labels), block):
            part = slice(first, first + block)
            rows, labels, shares = self.space.rows[part], self.labels[part], self.shares[part]
            logits = (rows @ on_rows.T + bias).reshape(len(rows), problems, classes)
            logits -= logits.max(2, keepdims=True)
            index = np.arange(len(rows))
            right = logits[index, :, labels]
            np.exp(logits, out=logits)
            total = logits.sum(2)
            value += ((np.log(total) - right) * shares).sum(0, dtype=np.float64)
            logits *= (shares / total)[:, :, None]
            logits[index, :, labels] -= shares
            residual = logits.reshape(len(rows), -1)
            gradient += residual.T @ rows
            gradient_bias += residual.sum(0, dtype=np.float64)
        gradient -= gradient_bias[:, None].astype(np.float32) * self.space.mean
        slope = np.empty_like(weights)
        slope[..., :-1] = self.space.to_directions(gradient).reshape(problems, classes, width - 1)
        slope[..., -1] = gradient_bias.reshape(problems, classes)
        slope += self.strength * decay
        return value, slope * self.scale


def _on_rows(space: Space, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`[problems x classes, m]` and `[problems x classes]`: weights and biases for raw rows."""
    flat = weights.reshape(-1, weights.shape[-1])
    on_rows = space.to_rows(flat[:, :-1])
    return on_rows, flat[:, -1] - on_rows @ space.mean


def _logits(space: Space, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """`[n, problems, num_classes]`."""
    on_rows, bias = _on_rows(space, weights)
    return (rows @ on_rows.T + bias).reshape(len(rows), *weights.shape[:2])


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("pkd,pkd->p", a, b, dtype=np.float64)


def _column(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)[:, None, None]


def _lbfgs(objective: _Objective, point: np.ndarray, goal: float) -> np.ndarray:
    """Independent L-BFGS (Nocedal & Wright 2006, algorithm 7.4) for each problem, in lockstep."""
    value, slope = objective(point)
    pairs: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for _ in range(MAX_STEPS):
        if np.abs(slope).max() <= goal:
            break
        direction = _direction(slope, pairs)
        moved = _search(objective, point, value, slope, direction)
        if moved is None:
            break  # float32 sees no further descent
        new_point, new_value, new_slope = moved
        step, change = new_point - point, new_slope - slope
        curvature = _dot(step, change)
        useful = curvature > 1e-10 * np.maximum(_dot(change, change), 1e-30)
        inverse = np.where(useful, 1 / np.where(useful, curvature, 1), 0)
        pairs = [*pairs[-HISTORY + 1 :], (step, change, inverse)]
        point, value, slope = new_point, new_value, new_slope
    return point


def _direction(slope: np.ndarray, pairs: list) -> np.ndarray:
    """The two-loop recursion."""
    direction = -slope
    amounts = []
    for step, change, inverse in reversed(pairs):
        amount = inverse * _dot(step, direction)
        direction = direction - _column(amount) * change
        amounts.append(amount)
    if pairs:
        _, change, inverse = pairs[-1]
        length = inverse * _dot(change, change)
        direction = direction * _column(
            np.where(length > 0, 1 / np.where(length > 0, length, 1), 1)
        )
    for (step, change, inverse), amount in zip(pairs, reversed(amounts), strict=True):
        direction = direction + _column(amount - inverse * _dot(change, direction)) * step
    return direction


def _search(
    objective: _Objective,
    point: np.ndarray,
    value: np.ndarray,
    slope: np.ndarray,
    direction: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Halves each problem's step until its value falls (Armijo); None if none of them can."""
    descent = _dot(slope, direction)
    size = np.ones(len(value))
    for _ in range(12):
        new_point = point + _column(size) * direction
        new_value, new_slope = objective(new_point)
        noise = 1e-7 * np.abs(value)
        failed = new_value > value + 1e-4 * size * descent + noise
        if not failed.any():
            return (new_point, new_value, new_slope) if size.any() else None
        size = np.where(failed, np.where(size > 1e-3, 0.4 * size, 0), size)
    return None
