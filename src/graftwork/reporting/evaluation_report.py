"""Gathers what an experiment left on disk into its pictures, tables and report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from markupsafe import Markup

from graftwork.config.yaml_text import from_yaml
from graftwork.data.images import DecodedImages
from graftwork.experiment import Experiment
from graftwork.metrics.base import Metric
from graftwork.recording.lineage import lineage, start_of
from graftwork.recording.tracked_params import nested_public
from graftwork.reporting import engine_words, movement_plot, plots, report, selection_plots
from graftwork.reporting.charts import standalone
from graftwork.reporting.choice import Choice, choice
from graftwork.reporting.cost_entry import read_made
from graftwork.reporting.drawn import Drawn, drawn_of
from graftwork.reporting.summary import title
from graftwork.reporting.training_curves import curves, read_history
from graftwork.reporting.view_gain import view_gain
from graftwork.storage.artifacts import Artifacts
from graftwork.training.audit_record import Audit

if TYPE_CHECKING:
    from graftwork.evaluating.measurements import Measurements


COPIES = 12  # pairs of pictures in two splits that are shown


def flat(scores: Mapping[str, Mapping[str, float]], prefix: str = plots.TEST) -> dict[str, float]:
    """Scores under the names that MLflow shows: test/top1, test/top1_low, test/top1_high."""
    return {
        f"{prefix}/{name}{suffix}": score[key]
        for name, score in scores.items()
        for suffix, key in (("", "value"), ("_low", "low"), ("_high", "high"))
    }


def flat_views(views: Mapping[str, Any]) -> dict[str, float]:
    """What several views gain and cost, under the names that MLflow shows: views/top1_gain."""
    gain = {f"{name}_gain": score for name, score in views["gain"].items()}
    seconds = {f"views/seconds_{name}": spent for name, spent in views["seconds"].items()}
    return {"views/count": views["count"], **seconds, **flat(gain, "views")}


def write(
    experiment: Experiment,
    artifacts: Artifacts,
    found: Measurements,
    classes: list[str],
    cost: Mapping[str, Any],
    profile: Mapping[str, Any],
) -> None:
    """Writes reports/plots/ (SVG for people, CSV for `dvc plots`) and reports/report.html.

    Where nobody looked at the test, the pictures that were held out are drawn instead.

    Args:
        cost: as `cost_entry.cost` says.
        profile: of the network (graftwork.profiling.stored).
    """
    evaluation = experiment.evaluation
    metrics = evaluation.metrics_for(len(classes))
    drawn = drawn_of(classes, (found.scores, found.test), (found.selection, found.held_out))
    audit = Audit.read(artifacts.audit)
    pictures = _pictures(artifacts, drawn, metrics, evaluation.confidence, audit)
    selection_plots.write(artifacts.plots, found.record)
    images = DecodedImages(artifacts, experiment.dataset)
    data = read_made(artifacts.data_report)
    shown = report.Report(
        title=title(experiment),
        split=drawn.split if drawn else plots.TEST,
        scores=drawn.scores if drawn else {},
        metrics=metrics,
        confidence=evaluation.confidence,
        cost=cost,
        profile=profile,
        choice=_choice(found, metrics),
        views=view_gain(found.views, found.scores, metrics),
        engine=engine_words.sentence(found.engine) if found.engine else "",
        audit=audit,
        movement=movement_plot.lines(audit),
        pictures=pictures,
        classes=drawn.by_class(evaluation.confidence) if drawn else [],
        mistakes=drawn.mistakes(images, evaluation.mistakes) if drawn else [],
        wrong=drawn.wrong if drawn else 0,
        copies=report.copies(data, images, COPIES),
        data=data,
        configuration=_configuration(artifacts.params),
        lineage=lineage(artifacts, start_of(experiment, artifacts)),
    )
    report.write(artifacts.report, shown)


def _choice(found: Measurements, metrics: Mapping[str, Metric]) -> Choice:
    """Like with like: what chose, and what training began from, are of one view."""
    scores = found.views["one"] if found.views else found.scores
    return choice(found.record, found.selection, scores, found.start, metrics)


def _pictures(
    artifacts: Artifacts,
    drawn: Drawn | None,
    metrics: Mapping[str, Metric],
    confidence: float,
    audit: Audit | None,
) -> dict[str, Markup | None]:
    """All pictures of the report; they and the tables behind them are in reports/plots/ then."""
    pictures = drawn.pictures(metrics, confidence) if drawn else {}
    pictures["training"] = curves(read_history(artifacts.history))
    pictures["movement"] = movement_plot.movement(audit)
    _write_plots(artifacts.plots, pictures)
    if drawn:
        drawn.write_tables(artifacts.plots, confidence)
    return pictures


def _write_plots(folder: Path, pictures: Mapping[str, Markup | None]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        if picture:
            (folder / f"{name}.svg").write_text(standalone(picture), encoding="utf-8")


def _configuration(path: Path) -> str:
    """params.yaml without secrets: a report is made to be passed on."""
    if not path.is_file():
        return ""
    values = nested_public(from_yaml(path.read_text(encoding="utf-8")))
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
