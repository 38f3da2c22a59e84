"""The result in a terminal: scores, cost, and where to look next."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from graftwork.config.errors import UserError
from graftwork.metrics.base import Metric
from graftwork.process.terminal import literal
from graftwork.reporting import engine_words, view_gain
from graftwork.reporting.certainty import no_width_note
from graftwork.reporting.choice import KEPT_START, warnings
from graftwork.reporting.disk_use import disk_use
from graftwork.reporting.numbers import duration, number, percent
from graftwork.reporting.plots import HELD_OUT, TEST
from graftwork.reporting.score_words import Scores, Told, expected_words, lines
from graftwork.selecting.record import SelectionRecord
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import read_json

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
    columns = _columns(result)
    if columns:
        console.print(_scores(columns, metrics, confidence, heading))
    else:
        console.print(literal(heading))
    if TEST not in columns:
        console.print(literal(f"the test was not looked at ({NOT_LOOKED_AT})"))
    if note := no_width_note(columns.get(TEST) or columns.get(HELD_OUT, {}), metrics):
        console.print(note, markup=False, highlight=False)
    for warning in _warnings(artifacts):
        console.print(literal(warning, "bold red"))
    views = result.get("views")
    looks = [("views", view_gain.sentence(views, metrics))] if views else []
    engine = result.get("engine")
    run = [("engine", engine_words.sentence(engine))] if engine else []
    for label, text in [*_choosing(result), *looks, *run, *_facts(result, artifacts)]:
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
    from graftwork.config.components import build
    from graftwork.config.yaml_text import from_yaml
    from graftwork.experiment import Experiment

    for path in (artifacts.metrics, artifacts.params):
        if not path.is_file():
            raise UserError(f"{path}: no such file. Run the experiment first.")
    # Built, not `from_file`: a result stays readable when the photos have moved.
    experiment = build(from_yaml(artifacts.params.read_text("utf-8")), Experiment, "")
    result = read_json(artifacts.metrics, "Run the stage evaluate again.")
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
    columns: Mapping[str, Scores],
    metrics: Mapping[str, Metric],
    confidence: float,
    heading: str,
) -> Table:
    """Narrow enough for 80 characters with two columns of scores."""
    counts = [f"{_pictures(scores)} {split}" for split, scores in columns.items()]
    table = Table(
        title=literal(heading),
        caption="; ".join(f"{count} pictures" for count in counts),
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("metric")
    for split in columns:
        table.add_column("selection" if split == HELD_OUT else split, justify="right")
        table.add_column(f"{100 * confidence:g} % interval", justify="right", no_wrap=True)
    # Of names that params.yaml no longer has there is no label.
    for line in lines(metrics, list(columns.values())):
        cells = [cell for told in line.told for cell in _cells(told)]
        table.add_row(literal(line.label), *cells)
    return table


def _cells(told: Told | None) -> tuple[str, str]:
    return (told.value, told.interval) if told else ("", "")


def _pictures(scores: Scores) -> str:
    return number(next(iter(scores.values()))["n"])


def _columns(result: Mapping[str, Any]) -> dict[str, Scores]:
    """The scores that there are, by the pictures that they are of."""
    selection = (result.get("selection") or {}).get("scores")
    found = {HELD_OUT: selection or {}, TEST: result.get("test") or {}}
    return {split: scores for split, scores in found.items() if scores}


def _choosing(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How what is kept was chosen, and what training began from: a line each."""
    found = []
    if selection := result.get("selection"):
        words = f"{selection['method']}: {number(selection['held_out'])} pictures held out, "
        words += f"{number(selection['fitted'])} fitted"
        nothing = f"none: nothing was held out, {number(selection['fitted'])} pictures fitted"
        found.append(("chosen", nothing if selection["method"] == "none" else words))
        if words := expected_words(selection.get("scores") or {}):
            found.append(("expect", words))
    start = result.get("start") or {}
    scores = ((split, (start.get(split) or {}).get("top1")) for split in ("test", "selection"))
    parts = [f"{percent(score['value'])} ({split})" for split, score in scores if score]
    return [*found, ("start", f"began from a probe at {', '.join(parts)}")] if parts else found


def _warnings(artifacts: Artifacts) -> list[str]:
    """What went wrong in training, from the record beside the result."""
    if not artifacts.selection.is_file():
        return []
    record = SelectionRecord.read(artifacts.selection)
    attempts = warnings(record)
    found = [f"Training destroyed the network. {attempt}" for attempt in attempts]
    return [*found, KEPT_START] if record.ended_as_start else found


def _facts(result: Mapping[str, Any], artifacts: Artifacts) -> list[tuple[str, str]]:
    cost = result["cost"]
    stages = ", ".join(f"{stage} {duration(s)}" for stage, s in cost["seconds"].items())
    spent = f"{duration(sum(cost['seconds'].values()))} ({stages})"
    size = f"peak {number(round(cost['peak_mib']))} MiB, {number(cost['parameters'])} parameters"
    size += f" ({number(cost['trainable_parameters'])} trained)"
    return [
        ("cost", spent),
        ("", size),
        ("disk", disk_use(artifacts)),
        ("report", str(artifacts.report)),
        ("run", f"{result['run_id']} in MLflow; to open its pages: graftwork ui"),
    ]
