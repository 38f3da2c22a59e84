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

See probe_space for the rotation, probe_solver for the steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graftwork.data.folds import NEVER
from graftwork.metrics.softmax import softmax
from graftwork.transfer.choosing import (
    MANY,
    few_threads,
    log_losses,
    one_standard_error,
)
from graftwork.transfer.probe_losses import CrossEntropy, Loss
from graftwork.transfer.probe_solver import solve
from graftwork.transfer.probe_space import Space, logits_of, rotated

# Largest gradient at which a fit ends, relative to that of zero weights. On the default data no
# probability of a test picture is then further from the optimum's than 5e-4 for strengths down to
# 1e-4, 6e-3 at 1e-5, 2e-2 at 1e-6. Weaker penalties (0.3 at 1e-7) would take thousands of steps.
TOLERANCE = 3e-5
# The same in cross-validation, where each strength starts at the end of the stronger one. On the
# default data held-out log losses are within 4e-3 of the converged ones, in half the time of 1e-4.
# At 1e-3 weak penalties often take no step at all: their loss would be that of a stronger one.
HELD_OUT_TOLERANCE = 3e-4


@dataclass(frozen=True)
class Probe:
    """A fitted probe, for features as they are stored."""

    weight: np.ndarray  # float32 [num_classes, num_features]
    bias: np.ndarray  # float32 [num_classes]
    strength: float
    strengths: list[float]  # tried, strongest first
    log_loss: list[float]  # of each, over all held-out pictures
    accuracy: list[float]
    # float32 [n, num_classes]: of every picture by the fold's probe that had not seen it, at the
    # strength that was chosen; NaN where none had not.
    held_out: np.ndarray


def fit_probe(
    features: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    *,
    strengths: Sequence[float],
    standardise: float,
    fold: np.ndarray,
) -> Probe:
    """The probe of the strength that held-out folds speak for, fitted on everything.

    That is the strongest penalty whose log loss is within one standard error of the smallest.

    Args:
        features: float32 `[n, num_features]`.
        labels: integers `[n]` in `[0, num_classes)`.
        strengths: L2 penalties to choose from.
        standardise: each feature is divided by its standard deviation to this power before it is
            penalised: 0 leaves proportions as they are, 1 makes all features equal.
        fold: integers `[n]`, see graftwork.data.folds; without a held-out picture the
            weakest penalty is taken.
    """
    with few_threads(features.size):
        found = rotated(features, standardise, keep=features.size < MANY)
        tried = sorted(set(strengths), reverse=True)
        tests = _cross_validate(found.space, labels, num_classes, tried, fold)
        losses = [float(one.mean()) for one in tests.log_losses]
        best = one_standard_error(tests.log_losses) if losses else len(tried) - 1
        start = tests.paths[best].mean(0, keepdims=True) if losses else None  # close to the end
        everything = np.ones((1, len(labels)), np.float32)
        weights = solve(
            found.space, labels, num_classes, everything, tried[best], start, TOLERANCE,
            CrossEntropy(),
        )[0]  # fmt: skip
        weight = found.lift(weights[:, :-1]) * found.scale
        bias = weights[:, -1] - weight @ found.mean
        head = weight.astype(np.float32), bias.astype(np.float32)
        accuracies = [float(right.mean()) for right in tests.right]
        return Probe(*head, tried[best], tried, losses, accuracies, tests.probabilities(best))


def cross_validated(
    features: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    *,
    strength: float,
    standardise: float,
    fold: np.ndarray,
) -> np.ndarray:
    """float32 `[n, num_classes]`: what probes of this strength say of pictures held out from them.

    As `Probe.held_out`, without the probe of all pictures.
    """
    with few_threads(features.size):
        found = rotated(features, standardise, keep=features.size < MANY)
        tests = _cross_validate(found.space, labels, num_classes, [strength], fold)
        return tests.probabilities(0)


@dataclass(frozen=True)
class _Tests:
    """What folds said of each strength; empty lists where no picture was held out."""

    labels: np.ndarray  # [n]
    out: np.ndarray  # booleans [n]: held out of some fold
    num_classes: int
    paths: list[np.ndarray]  # weights of all folds
    logits: list[np.ndarray]  # [n, num_classes] of held-out rows; 0 elsewhere

    @property
    def log_losses(self) -> list[np.ndarray]:
        """`[held out]` of each strength."""
        return [log_losses(one[self.out], self.labels[self.out]) for one in self.logits]

    @property
    def right(self) -> list[np.ndarray]:
        """Booleans `[held out]` of each strength."""
        return [(one.argmax(1) == self.labels)[self.out] for one in self.logits]

    def probabilities(self, index: int) -> np.ndarray:
        """float32 `[n, num_classes]` at this strength; NaN where a row was never held out."""
        found = np.full((len(self.labels), self.num_classes), np.nan, np.float32)
        if self.out.any():
            found[self.out] = softmax(self.logits[index][self.out])
        return found


def _cross_validate(
    space: Space, labels: np.ndarray, num_classes: int, strengths: list[float], fold: np.ndarray
) -> _Tests:
    logits, paths = held_out_logits(space, labels, num_classes, strengths, fold, CrossEntropy())
    return _Tests(labels, fold != NEVER, num_classes, paths, logits)


def held_out_logits(
    space: Space,
    labels: np.ndarray,
    num_classes: int,
    strengths: Sequence[float],
    fold: np.ndarray,
    loss: Loss,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What the head of each fold, for each strength, says of the pictures that it had not seen.

    Args:
        strengths: the strongest first; each starts where the stronger one ended.

    Returns:
        float32 `[n, num_classes]` of each strength, zeros where a row was never held out; and the
        weights of all folds. Both are empty where no picture is held out.
    """
    used = np.unique(fold[fold != NEVER])
    training = (fold[None] != used[:, None]).astype(np.float32)
    logits, paths = [], []
    weights = None
    for strength in strengths if len(used) else []:
        weights = solve(
            space, labels, num_classes, training, strength, weights, HELD_OUT_TOLERANCE, loss
        )
        found = np.zeros((len(labels), num_classes), np.float32)
        for which, one in zip(used, weights, strict=True):
            out = fold == which
            found[out] = logits_of(space, space.rows[out], one[None])[:, 0]
        logits.append(found)
        paths.append(weights)
    return logits, paths
