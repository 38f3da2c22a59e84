"""L-BFGS on several weightings of the pictures at once: one matrix product serves them all."""

from __future__ import annotations

import numpy as np

from graftwork.transfer.probe_losses import Loss
from graftwork.transfer.probe_space import BLOCK_BYTES, Space, on_rows

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
        loss: Loss,
    ) -> None:
        self.space, self.labels, self.strength, self.scale = space, labels, strength, scale
        self.loss = loss
        self.shares = np.array(sample_weights, np.float32)
        self.shares /= self.shares.sum(1, keepdims=True)

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
            logits = (matrix @ rows.T + bias[:, None]).reshape(problems, classes, len(rows))
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
