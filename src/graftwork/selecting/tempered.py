"""Probabilities at other temperatures: `p ** (1 / T)`, normalised (Guo et al. 2017).

Label smoothing and averaged weights make a network modest, too long a training makes it sure of
itself. Neither changes an answer, and both change what its probabilities mean.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

TEMPERATURES = np.geomspace(0.25, 4, 41)


def log_losses(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Nats, `[temperatures, n]`.

    Args:
        probabilities: `[n, num_classes]`.
        labels: `[n]`.
    """
    rows = np.arange(len(labels))
    return -np.stack([scaled[rows, labels] for scaled in _logs(probabilities)])


def best_tempered(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Nats, `[n]`, at the one temperature for all pictures that makes their mean smallest."""
    losses = log_losses(probabilities, labels)
    found: np.ndarray = losses[losses.mean(axis=1).argmin()]
    return found


def confidences(probabilities: np.ndarray) -> np.ndarray:
    """Of the likeliest class, `[temperatures, n]`."""
    return np.exp(np.stack([scaled.max(axis=1) for scaled in _logs(probabilities)]))


def _logs(probabilities: np.ndarray) -> Iterator[np.ndarray]:
    """Logarithms of probabilities at each temperature, `[n, num_classes]`."""
    logs = np.log(np.maximum(probabilities.astype(np.float64), 1e-12))
    for temperature in TEMPERATURES:
        scaled = logs / temperature
        scaled -= scaled.max(axis=1, keepdims=True)
        yield scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))
