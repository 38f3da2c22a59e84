"""What is measured: the fields of conf/evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from graftwork.config.components import Component
from graftwork.config.errors import UserError, check_choice, check_range
from graftwork.metrics.base import Metric
from graftwork.settings.extraction import ENGINES, PRECISIONS

IN_SWEEPS = ("winner", "all")
EAGER = "eager"


@dataclass(frozen=True)
class Evaluation(Component):
    """What is measured, and whose test is looked at."""

    metrics: dict[str, Metric]
    bootstrap_samples: int
    confidence: float  # of the interval, (0, 1)
    mistakes: int  # photos of the worst mistakes in the report
    engine: str  # of a trained network; eager: torch, layer by layer, always in float32
    precision: str  # of any other engine; auto: bf16 where the hardware has it
    views: int  # looks at a test picture, whose probabilities are averaged; see fixed_views
    test_in_sweeps: str  # winner: only of the job that the selection score puts first; all
    baselines: list[str]  # strategies of a sweep that its others are compared with

    def __post_init__(self) -> None:
        check_range("bootstrap_samples", self.bootstrap_samples, 100)
        check_range("confidence", self.confidence, 0.5, 0.999)
        check_range("mistakes", self.mistakes, 0)
        check_choice("engine", self.engine, (*ENGINES, EAGER))
        check_choice("precision", self.precision, PRECISIONS)
        check_range("views", self.views, 1)
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
