"""Linear support vector machines, one against the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graftwork.models.heads import Linear
from graftwork.transfer.parts import Examples
from graftwork.transfer.probe import TOLERANCE, held_out_logits
from graftwork.transfer.probe_losses import SquaredHinge
from graftwork.transfer.probe_solver import solve
from graftwork.transfer.stored_heads import Fitted, Penalised, nothing_said, rotated_of


@dataclass(frozen=True)
class LinearSvm(Penalised):
    """Squared hinge loss of each class against the rest (Fan et al. 2008: LIBLINEAR).

    It minimises, with y = 1 for the class and -1 for the rest,

        mean_i sum_k max(0, 1 - y_ik (x_i w_k + b_k))^2  +  strength / 2 * |W|^2

    (b is not penalised), in scikit-learn's terms `C = 1 / (strength * n)`, on features that are
    scaled as those of the logistic regression, by the same solver.
    """

    def fitted(self, examples: Examples, sharpness: float) -> Fitted:
        found = rotated_of(examples, self.standardise)
        everything = np.ones((1, len(examples.labels)), np.float32)
        (weights,) = solve(
            found.space, examples.labels, examples.num_classes, everything, self.strengths[0],
            None, TOLERANCE, SquaredHinge(),
        )  # fmt: skip
        weight = sharpness * found.lift(weights[:, :-1]) * found.scale
        bias = sharpness * weights[:, -1] - weight @ found.mean
        tensors = {"weight": weight.astype(np.float32), "bias": bias.astype(np.float32)}
        return Linear(init_std=0.0), tensors

    def scores(self, examples: Examples) -> list[np.ndarray]:
        found = rotated_of(examples, self.standardise)
        strengths = [part.strengths[0] for part in self.alternatives]
        logits, _ = held_out_logits(
            found.space, examples.labels, examples.num_classes, strengths, examples.fold,
            SquaredHinge(),
        )  # fmt: skip
        return logits or nothing_said(examples, len(strengths))
