"""The result in a terminal: scores, cost, and where to look next."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from graftwork.artifacts import Artifacts
from graftwork.errors import UserError
from graftwork.metrics.base import Metric
from graftwork.reporting.certainty import no_width_note
from graftwork.reporting.drawing import duration, number, percent
from graftwork.terminal import literal

if TYPE_CHECKING:
    from graftwork.experiment import Experiment


NOT_LOOKED_AT = "of a sweep's jobs only the winner's is: evaluation.test_in_sweeps=winner"
DEPTHS = ("*", "*/*", "*/*/*")  # runs/name, runs/day/time, runs/day/time_sweep/job


def show(
    result: Mapping[str, Any],
    metrics: Mapping[str, Metric],
    confidence: float,
    heading: str,
    artifacts: Artifacts,
    console: Console | None = None,
) -> None:
    """Prints what metrics.json holds; also where the output is a file or a pipe.

    Args:
        result: the content of metrics.json.
        metrics: of the same names as its scores.
        confidence: of the intervals.
        heading: data, model and strategy.
        artifacts: the experiment's tree.
        console: where to; standard output if None.
    """
    console = console or Console()
    console.print()
    if result["test"]:
        console.print(_scores(result["test"], metrics, confidence, heading))
    else:
        console.print(literal(f"{heading}: the test was not looked at ({NOT_LOOKED_AT})."))
    if note := no_width_note(result["test"], metrics):
        console.print(note, markup=False, highlight=False)
    for label, text in _facts(result, artifacts):
        # Paths are for copying: neither cut nor wrapped, whatever the width.
        console.print(literal(f"{label:<8}{text}"), soft_wrap=True)


def newest(project: Path) -> Path:
    """Where the last experiment was: the project itself, a folder under runs/, a sweep's job.

    Raises:
        UserError: there is no result yet.
    """
    folders = [project, *(found for depth in DEPTHS for found in project.glob(f"runs/{depth}"))]
    found = [folder for folder in folders if Artifacts.at(folder).metrics.is_file()]
    if not found:
        raise UserError(
            f"{project.absolute()}: no result here, nor in runs/. Run an experiment first, by "
            "`dvc repro` or `python -m pipelines.experiment`, or name its folder with --root."
        )
    return max(found, key=lambda folder: Artifacts.at(folder).metrics.stat().st_mtime_ns)


def show_results(artifacts: Artifacts, console: Console | None = None) -> None:
    """Prints the result that an experiment left on disk.

    Raises:
        UserError: it has none.
    """
    import yaml

    from graftwork.components import build
    from graftwork.experiment import Experiment

    for path in (artifacts.metrics, artifacts.params):
        if not path.is_file():
            raise UserError(f"{path}: no such file. Run the experiment first.")
    # Built, not `from_file`: a result stays readable when the photos have moved.
    experiment = build(yaml.safe_load(artifacts.params.read_text("utf-8")), Experiment, "")
    result = json.loads(artifacts.metrics.read_text("utf-8"))
    show(
        result,
        experiment.evaluation.metrics,
        result["confidence"],
        result["title"],
        artifacts,
        console,
    )


def title(experiment: Experiment) -> str:
    """Data, network and strategy."""
    parts = (experiment.dataset.name, experiment.model.name, experiment.transfer.name)
    return " · ".join(parts)


def _scores(
    scores: Mapping[str, Mapping[str, float]],
    metrics: Mapping[str, Metric],
    confidence: float,
    heading: str,
) -> Table:
    n = next(iter(scores.values()))["n"]
    pictures = f"{number(n)} test pictures"
    table = Table(title=literal(heading), caption=pictures, title_justify="left")
    table.add_column("metric")
    table.add_column("value", justify="right")
    table.add_column(f"{100 * confidence:g} % interval", justify="right")
    for name, score in scores.items():
        metric = metrics.get(name)
        if metric is None:  # params.yaml has been changed since
            continue
        value, low, high = (
            percent(score[key]) if metric.is_share else f"{score[key]:.3f}"
            for key in ("value", "low", "high")
        )
        table.add_row(literal(metric.label), value, f"{low} to {high}")
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
