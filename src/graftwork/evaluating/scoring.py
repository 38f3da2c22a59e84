"""Evaluation: numbers with intervals."""

from __future__ import annotations

import sys
import warnings
from dataclasses import asdict

import numpy as np

from graftwork.metrics.base import Metric
from graftwork.settings.evaluation import Evaluation

TOLERANCE = 1e-4  # between torchmetrics (float32) and the bootstrap's own arithmetic (float64)


def measure(
    evaluation: Evaluation, probabilities: np.ndarray, labels: np.ndarray, seed: int
) -> dict[str, dict[str, float]]:
    """Every metric with its interval.

    Args:
        probabilities: `[n, num_classes]`, n at least 1.
        labels: `[n]`, integers in [0, num_classes).
        seed: of the bootstrap.

    Returns:
        `{name: {"value", "low", "high", "n"}}`. Values are those of torchmetrics without its
        float32 rounding: float64 arithmetic that tests hold against torchmetrics, and so does
        every evaluation that has torch loaded anyway. Evaluating a linear probe needs no torch,
        whose import would take ten times as long as everything else here.
    """
    from graftwork.metrics.bootstrap import intervals

    metrics = evaluation.metrics_for(probabilities.shape[1])
    found = intervals(
        metrics,
        probabilities,
        labels,
        samples=evaluation.bootstrap_samples,
        confidence=evaluation.confidence,
        seed=seed,
    )
    for name, metric in metrics.items() if "torch" in sys.modules else ():
        reference = point(metric, probabilities, labels)
        if abs(found[name].value - reference) > TOLERANCE:
            # A tie or a bin's edge in float32: worth a look, not the end of a long training.
            text = f"{name}: {found[name].value}, torchmetrics says {reference}"
            warnings.warn(text, stacklevel=2)
    return {name: {**asdict(interval), "n": len(labels)} for name, interval in found.items()}


def paired(
    evaluation: Evaluation, result: np.ndarray, before: np.ndarray, labels: np.ndarray, seed: int
) -> dict[str, dict[str, float]]:
    """Every metric of one result minus the same of another, with BCa intervals.

    Args:
        result: probabilities `[n, num_classes]`.
        before: those that are taken away, of the same pictures.
        labels: `[n]`, integers.
        seed: of the bootstrap.
    """
    from graftwork.metrics.bootstrap import Difference, intervals

    metrics = evaluation.metrics_for(result.shape[1])
    found = intervals(
        {name: Difference(metric) for name, metric in metrics.items()},
        np.concatenate([result, before], axis=1),
        labels,
        samples=evaluation.bootstrap_samples,
        confidence=evaluation.confidence,
        seed=seed,
    )
    return {name: {**asdict(interval), "n": len(labels)} for name, interval in found.items()}


def point(metric: Metric, probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The metric's value by torchmetrics, a chunk of pictures at a time."""
    import torch

    computer = metric.build(probabilities.shape[1])
    for start in range(0, len(labels), 1 << 16):
        rows = slice(start, start + (1 << 16))
        # Copied: columns of a data frame are read-only, of which torch would warn.
        computer.update(torch.tensor(probabilities[rows]), torch.tensor(labels[rows]))
    return float(computer.compute())
