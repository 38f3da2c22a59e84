"""What linear heads minimise on pictures: value and gradient by the logits."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Loss(Protocol):
    """A convex loss of logits."""

    def curvature(self, num_classes: int) -> float:
        """By one logit, before anything is learnt."""

    def __call__(
        self, logits: np.ndarray, labels: np.ndarray, shares: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Value `[problems]` and gradient like the logits, which it may overwrite.

        Args:
            logits: float32 `[problems, num_classes, n]`.
            labels: `[n]`.
            shares: float32 `[problems, n]`: what each picture counts.
        """


class CrossEntropy:
    """Of the softmax."""

    def curvature(self, num_classes: int) -> float:
        return (1 - 1 / num_classes) / num_classes  # p (1 - p) of an even guess

    def __call__(
        self, logits: np.ndarray, labels: np.ndarray, shares: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        logits -= logits.max(1, keepdims=True)
        index = np.arange(len(labels))
        right = logits[:, labels, index]
        np.exp(logits, out=logits)
        total = logits.sum(1)
        value = ((np.log(total) - right) * shares).sum(1, dtype=np.float64)
        logits *= (shares / total)[:, None]
        logits[:, labels, index] -= shares
        return value, logits


class SquaredHinge:
    """Of each class against the rest, summed over the classes."""

    def curvature(self, num_classes: int) -> float:
        return 2.0

    def __call__(
        self, logits: np.ndarray, labels: np.ndarray, shares: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        index = np.arange(len(labels))
        own = np.maximum(1 - logits[:, labels, index], 0)
        slack = np.maximum(logits + 1, 0, out=logits)  # of the rest, which should be below -1
        slack[:, labels, index] = own
        value = (np.square(slack).sum(1) * shares).sum(1, dtype=np.float64)
        slack *= 2 * shares[:, None]
        slack[:, labels, index] *= -1
        return value, slack
