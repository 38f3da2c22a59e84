"""Ridge regression to one-hot labels: closed form, and so are the folds of its cross-validation.

It minimises

    mean_i |x_i W^T + b - y_i|^2  +  strength * |W|^2

(b is not penalised), in scikit-learn's terms `alpha = strength * n`, on features that are scaled as
those of the logistic regression.

What the fit without a part of the pictures says of that part follows from the fit of all: with the
residuals e, and H the part's own block of the hat matrix, the part's residuals without it are
(I - H)^-1 e (Cook & Weisberg 1982, section 2.2, there for one row, which is leave-one-out).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graftwork.data.folds import NEVER
from graftwork.models.heads import Linear
from graftwork.transfer.parts import Examples
from graftwork.transfer.probe_space import Rotated
from graftwork.transfer.stored_heads import Fitted, Penalised, rotated_of


@dataclass(frozen=True)
class Ridge(Penalised):
    """Least squares to one-hot labels (Hoerl & Kennard 1970)."""

    def fitted(self, examples: Examples, sharpness: float) -> Fitted:
        found = rotated_of(examples, self.standardise)
        labels, classes = examples.labels, examples.num_classes
        solution = _solution(found, labels, classes, self.strengths[0])
        weight = sharpness * found.lift(solution.T) * found.scale
        mean = sharpness * np.eye(classes)[labels].mean(0)
        bias = mean - weight @ found.mean
        tensors = {"weight": weight.astype(np.float32), "bias": bias.astype(np.float32)}
        return Linear(init_std=0.0), tensors

    def scores(self, examples: Examples) -> list[np.ndarray]:
        found = rotated_of(examples, self.standardise)
        targets = np.eye(examples.num_classes)[examples.labels]
        facts = examples.labels, examples.fold
        return [_held_out(found, targets, part.strengths[0], *facts) for part in self.alternatives]


def _solution(found: Rotated, labels: np.ndarray, num_classes: int, strength: float) -> np.ndarray:
    """`[r, num_classes]` on the directions, which are uncorrelated: each is solved alone."""
    targets = np.eye(num_classes)[labels]
    moments = np.zeros((len(found.space.curvature), num_classes))
    for part in np.array_split(np.arange(len(labels)), max(1, len(labels) // 4096)):
        moments += found.space.directions(part).T @ targets[part]
    return np.asarray(moments / len(labels) / (found.space.curvature + strength)[:, None])


def _held_out(
    found: Rotated, targets: np.ndarray, strength: float, labels: np.ndarray, fold: np.ndarray
) -> np.ndarray:
    """`[n, num_classes]`: of each part what the fit of the others says; zeros where none is."""
    n, num_classes = targets.shape
    solution = np.vstack([targets.mean(0), _solution(found, labels, num_classes, strength)])
    inverse = np.concatenate([[n], n * (found.space.curvature + strength)])  # of the hat's middle
    said = np.zeros(targets.shape)
    for which in np.unique(fold[fold != NEVER]):
        out = np.flatnonzero(fold == which)
        rows = found.space.directions(out).astype(np.float64)
        rows = np.hstack([np.ones((len(out), 1)), rows])  # the bias, a direction of its own
        residual = targets[out] - rows @ solution
        said[out] = targets[out] - _without(rows, inverse, residual)
    return said


def _without(rows: np.ndarray, inverse: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """(I - H)^-1 residual, in the smaller of pictures and directions (Woodbury)."""
    if len(rows) <= len(inverse):
        hat = (rows / inverse) @ rows.T
        return np.asarray(np.linalg.solve(np.eye(len(rows)) - hat, residual))
    inner = np.diag(inverse) - rows.T @ rows
    return np.asarray(residual + rows @ np.linalg.solve(inner, rows.T @ residual))
