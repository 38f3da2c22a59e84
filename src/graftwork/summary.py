"""The result in a terminal: scores, cost, and where to look next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from graftwork.artifacts import Artifacts
from graftwork.drawing import duration, number, percent
from graftwork.metrics.base import Metric


def show(
    result: Mapping[str, Any],
    metrics: Mapping[str, Metric],
    confidence: float,
    title: str,
    artifacts: Artifacts,
    console: Console | None = None,
) -> None:
    """Prints what metrics.json holds; also where the output is a file or a pipe.

    Args:
        result: the content of metrics.json.
        metrics: of the same names as its scores.
        confidence: of the intervals.
        title: data, model and strategy.
        artifacts: the experiment's tree.
        console: where to; standard output if None.
    """
    console = console or Console()
    console.print()
    console.print(_scores(result["test"], metrics, confidence, title))
    for label, text in _facts(result, artifacts):
        # Paths are for copying: neither cut nor wrapped, whatever the width.
        console.print(Text(f"{label:<8}{text}"), soft_wrap=True)


def _scores(
    scores: Mapping[str, Mapping[str, float]],
    metrics: Mapping[str, Metric],
    confidence: float,
    title: str,
) -> Table:
    n = next(iter(scores.values()))["n"]
    table = Table(title=Text(title), caption=f"{number(n)} test pictures", title_justify="left")
    table.add_column("metric")
    table.add_column("value", justify="right")
    table.add_column(f"{100 * confidence:g} % interval", justify="right")
    for name, score in scores.items():
        metric = metrics[name]
        value, low, high = (
            percent(score[key]) if metric.is_share else f"{score[key]:.3f}"
            for key in ("value", "low", "high")
        )
        table.add_row(metric.label, value, f"{low} to {high}")
    return table


def _facts(result: Mapping[str, Any], artifacts: Artifacts) -> list[tuple[str, str]]:
    cost = result["cost"]
    stages = ", ".join(f"{stage} {duration(s)}" for stage, s in cost["seconds"].items())
    spent = f"{duration(sum(cost['seconds'].values()))} ({stages})"
    size = f"peak {number(round(cost['peak_mib']))} MiB, {number(cost['parameters'])} parameters"
    size += f" ({number(cost['trainable_parameters'])} trained)"
    return [
        ("cost", spent),
        ("", size),
        ("report", str(artifacts.report)),
        ("run", f"{result['run_id']} in MLflow; to open its pages: graftwork ui"),
    ]
