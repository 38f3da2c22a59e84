"""Evaluation: numbers with intervals."""

from __future__ import annotations

import sys
import warnings
from dataclasses import asdict, dataclass

import numpy as np

from graftwork.config.components import Component
from graftwork.config.errors import UserError, check_choice, check_range
from graftwork.metrics.base import Metric

IN_SWEEPS = ("winner", "all")
TOLERANCE = 1e-4  # between torchmetrics (float32) and the bootstrap's own arithmetic (float64)


@dataclass(frozen=True)
class Evaluation(Component):
    """What is measured, and whose test is looked at."""

    metrics: dict[str, Metric]
    bootstrap_samples: int
    confidence: float  # of the interval, (0, 1)
    mistakes: int  # photos of the worst mistakes in the report
    test_in_sweeps: str  # winner: only of the job that the selection score puts first; all

    def __post_init__(self) -> None:
        check_range("bootstrap_samples", self.bootstrap_samples, 100)
        check_range("confidence", self.confidence, 0.5, 0.999)
        check_range("mistakes", self.mistakes, 0)
        check_choice("test_in_sweeps", self.test_in_sweeps, IN_SWEEPS)
        if not any(metric.applies(2) for metric in self.metrics.values()):
            raise UserError(
                "metrics: none that says something with any number of classes. Name at least one, "
                "such as top1 (conf/evaluation/default.yaml)."
            )

    def metrics_for(self, num_classes: int) -> dict[str, Metric]:
        """The metrics that say something with so many classes (top-5 of five classes does not).

        In the order of the configuration, but top-1, the headline, first: YAML files are sorted
        now and then.
        """
        ordered = sorted(self.metrics.items(), key=lambda item: item[0] != "top1")
        return {name: metric for name, metric in ordered if metric.applies(num_classes)}


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


def point(metric: Metric, probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The metric's value by torchmetrics, a chunk of pictures at a time."""
    import torch

    computer = metric.build(probabilities.shape[1])
    for start in range(0, len(labels), 1 << 16):
        rows = slice(start, start + (1 << 16))
        # Copied: columns of a data frame are read-only, of which torch would warn.
        computer.update(torch.tensor(probabilities[rows]), torch.tensor(labels[rows]))
    return float(computer.compute())
