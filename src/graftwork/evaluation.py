"""Evaluation: numbers with intervals."""

from __future__ import annotations

from dataclasses import dataclass

from graftwork.components import Component
from graftwork.errors import check_range
from graftwork.metrics.base import Metric


@dataclass(frozen=True)
class Evaluation(Component):
    """What is measured on the test split."""

    metrics: dict[str, Metric]
    bootstrap_samples: int
    confidence: float  # of the interval, (0, 1)
    mistakes: int  # photos of the worst mistakes in the report

    def __post_init__(self) -> None:
        check_range("bootstrap_samples", self.bootstrap_samples, 100)
        check_range("confidence", self.confidence, 0.5, 0.999)
        check_range("mistakes", self.mistakes, 0)
