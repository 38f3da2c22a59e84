"""L-BFGS on several weightings of the pictures at once: one matrix product serves them all."""

from __future__ import annotations

import numpy as np

from graftwork.transfer.probe_losses import Loss
from graftwork.transfer.probe_space import BLOCK_BYTES, Space, on_rows

COLUMNS_BYTES = 16 << 20  # features of which a second copy costs next to nothing
SMALL_PRODUCTS = 10_000_000  # of numbers; OpenBLAS counts a million as small
HISTORY = 8  # pairs that L-BFGS remembers
MAX_STEPS = 300


def solve(
    space: Space,
    labels: np.ndarray,
    num_classes: int,
    sample_weights: np.ndarray,
    strength: float,
    start: np.ndarray | None,
    tolerance: float,
    loss: Loss,
) -> np.ndarray:
    """L-BFGS on several weightings of the pictures at once.

    Args:
        sample_weights: float32 `[problems, n]`.
        start: `[problems, num_classes, r + 1]`, biases last; None: zeros.
        tolerance: largest gradient, relative to the one at zero weights.
        loss: what is minimised, besides the penalty.

    Returns:
        float32 `[problems, num_classes, r + 1]`.
    """
    problems, directions = len(sample_weights), len(space.curvature)
    spread = loss.curvature(num_classes)
    scale = np.full(directions + 1, 1 / np.sqrt(spread), np.float32)
    scale[:-1] = 1 / np.sqrt(spread * space.curvature + strength)
    zeros = np.zeros((problems, num_classes, directions + 1), np.float32)
    objective = _Objective(space, labels, sample_weights, strength, scale, loss)
    value, slope = objective(zeros)
    goal = tolerance * np.abs(slope).max()
    if start is None:
        return _lbfgs(objective, zeros, value, slope, goal) * scale
    point = start / scale
    return _lbfgs(objective, point, *objective(point), goal) * scale


class _Objective:
    """Value `[problems]` and gradient of scaled weights, streamed over blocks of pictures."""

    def __init__(
        self,
        space: Space,
        labels: np.ndarray,
        sample_weights: np.ndarray,
        strength: float,
        scale: np.ndarray,
        loss: Loss,
    ) -> None:
        self.space, self.labels, self.strength, self.scale = space, labels, strength, scale
        self.loss = loss
        self.shares = np.array(sample_weights, np.float32)
        self.shares /= self.shares.sum(1, keepdims=True)
        self.columns = space.rows.T
        # Products are a fifth quicker where columns lie side by side. Of small ones BLAS has
        # another way, and other last bits.
        products = space.rows.size * len(sample_weights) * (labels.max() + 1)
        if products > SMALL_PRODUCTS and space.rows.nbytes <= COLUMNS_BYTES:
            self.columns = np.ascontiguousarray(self.columns)

    def __call__(self, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        weights = point * self.scale
        problems, classes, width = weights.shape
        decay = weights.copy()
        decay[..., -1] = 0
        value = 0.5 * self.strength * np.square(decay, dtype=np.float64).sum((1, 2))
        matrix, bias = on_rows(self.space, weights)
        gradient = np.zeros(matrix.shape, np.float32)
        gradient_bias = np.zeros(bias.shape)
        block = max(1, BLOCK_BYTES // (4 * problems * classes))
        for first in range(0, len(self.labels), block):
            part = slice(first, first + block)
            rows, labels, shares = self.space.rows[part], self.labels[part], self.shares[:, part]
            logits = matrix @ self.columns[:, part]
            logits += bias[:, None]
            logits = logits.reshape(problems, classes, len(rows))
            lost, slopes = self.loss(logits, labels, shares)
            value += lost
            residual = slopes.reshape(len(matrix), len(rows))
            gradient += residual @ rows
            gradient_bias += residual.sum(1, dtype=np.float64)
        gradient -= gradient_bias[:, None].astype(np.float32) * self.space.mean
        slope = np.empty_like(weights)
        slope[..., :-1] = self.space.to_directions(gradient).reshape(problems, classes, width - 1)
        slope[..., -1] = gradient_bias.reshape(problems, classes)
        slope += self.strength * decay
        return value, slope * self.scale


class _Exact:
    """A vector of each problem, and the same in float64, in which products are summed up."""

    def __init__(self, vector: np.ndarray) -> None:
        self.vector = vector  # float32 [problems, num_classes, r + 1]
        self.wide = vector.reshape(len(vector), -1).astype(np.float64)

    def dot(self, other: _Exact) -> np.ndarray:
        """`[problems]`"""
        return np.vecdot(self.wide, other.wide)

    def add(self, amount: np.ndarray, other: _Exact) -> None:
        """Adds so many times the other one, `[problems]`."""
        self.vector += _column(amount) * other.vector
        self._widen()

    def scale(self, amount: np.ndarray) -> None:
        self.vector *= _column(amount)
        self._widen()

    def _widen(self) -> None:
        np.copyto(self.wide, self.vector.reshape(self.wide.shape))


Pair = tuple[_Exact, _Exact, np.ndarray]  # a step, the change of slope, 1 / their product


def _column(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)[:, None, None]


def _lbfgs(
    objective: _Objective, point: np.ndarray, value: np.ndarray, slope: np.ndarray, goal: float
) -> np.ndarray:
    """Independent L-BFGS (Nocedal & Wright 2006, algorithm 7.4) for each problem, in lockstep.

    Args:
        value: of the objective at the point.
        slope: likewise.
    """
    pairs: list[Pair] = []
    for _ in range(MAX_STEPS):
        if np.abs(slope).max() <= goal:
            break
        direction = _direction(slope, pairs)
        moved = _search(objective, point, value, slope, direction)
        if moved is None:
            break  # float32 sees no further descent
        new_point, new_value, new_slope = moved
        step, change = _Exact(new_point - point), _Exact(new_slope - slope)
        curvature = step.dot(change)
        useful = curvature > 1e-10 * np.maximum(change.dot(change), 1e-30)
        inverse = np.where(useful, 1 / np.where(useful, curvature, 1), 0)
        pairs = [*pairs[-HISTORY + 1 :], (step, change, inverse)]
        point, value, slope = new_point, new_value, new_slope
    return point


def _direction(slope: np.ndarray, pairs: list[Pair]) -> _Exact:
    """The two-loop recursion."""
    direction = _Exact(-slope)
    amounts = []
    for step, change, inverse in reversed(pairs):
        amount = inverse * step.dot(direction)
        direction.add(-amount, change)
        amounts.append(amount)
    if pairs:
        _, change, inverse = pairs[-1]
        length = inverse * change.dot(change)
        direction.scale(np.where(length > 0, 1 / np.where(length > 0, length, 1), 1))
    for (step, change, inverse), amount in zip(pairs, reversed(amounts), strict=True):
        direction.add(amount - inverse * change.dot(direction), step)
    return direction


def _search(
    objective: _Objective,
    point: np.ndarray,
    value: np.ndarray,
    slope: np.ndarray,
    direction: _Exact,
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Halves each problem's step until its value falls (Armijo); None if none of them can."""
    descent = _Exact(slope).dot(direction)
    size = np.ones(len(value))
    for _ in range(12):
        new_point = point + _column(size) * direction.vector
        new_value, new_slope = objective(new_point)
        noise = 1e-7 * np.abs(value)
        failed = new_value > value + 1e-4 * size * descent + noise
        if not failed.any():
            return (new_point, new_value, new_slope) if size.any() else None
        size = np.where(failed, np.where(size > 1e-3, 0.4 * size, 0), size)
    return None
