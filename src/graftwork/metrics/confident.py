"""Labels that a model doubts, from its answers to pictures that it had not been fitted on.

Confident learning (Northcutt, Jiang and Chuang 2021, Journal of Artificial Intelligence Research
70): an answer counts for a class where it is at least as probable as that class usually is among
pictures that bear its label, so that a class that a model is shy of is not taken for a mistake.
"""

from __future__ import annotations

import numpy as np


def doubted(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pictures whose answer counts for another class than their label's.

    Args:
        probabilities: `[n, num_classes]`, each by a model that had not seen the picture.
        labels: `[n]`, integers.

    Returns:
        Their rows, the most doubtful first (the label's probability less that of the other class),
        and the class that the answer counts for, both `[doubted]`.
    """
    n, classes = probabilities.shape
    own = probabilities[np.arange(n), labels].astype(np.float64)
    count = np.bincount(labels, minlength=classes)
    usual = np.bincount(labels, own, minlength=classes) / np.maximum(count, 1)
    usual[count == 0] = np.inf  # nothing is known of what bears no label
    counts_for = probabilities >= usual
    says = np.where(counts_for, probabilities, -1.0).argmax(axis=1)
    rows = np.flatnonzero(counts_for.any(axis=1) & (says != labels))
    margin = own[rows] - probabilities[rows, says[rows]]
    order = rows[np.argsort(margin, kind="stable")]
    return order, says[order]
