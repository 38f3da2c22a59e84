"""Gathers what an experiment left on disk into its pictures, tables and report."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from markupsafe import Markup

from graftwork.data.images import DecodedImages
from graftwork.experiment import Experiment
from graftwork.metrics.base import Metric
from graftwork.model_folder import contents as model_folder
from graftwork.recording.lineage import lineage, start_of
from graftwork.recording.tracked_params import nested_public
from graftwork.reporting import engine_words, movement_plot, plots, report, selection_plots
from graftwork.reporting.charts import standalone
from graftwork.reporting.choice import choice
from graftwork.reporting.drawn import Drawn, drawn_of
from graftwork.reporting.score_words import Scores
from graftwork.reporting.summary import title
from graftwork.reporting.training_curves import curves, read_history
from graftwork.reporting.view_gain import view_gain
from graftwork.selecting.record import SelectionRecord
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import read_json, read_receipt
from graftwork.training.audit_record import Audit

if TYPE_CHECKING:
    import pandas as pd

STAGES = ("download", "prepare", "extract_features", "finetune")


def cost(
    artifacts: Artifacts,
    speed: float | None,
    begun: float,
    profile: Mapping[str, Any],
    measured: Mapping[str, Any],
) -> dict[str, Any]:
    """What the experiment took, stage by stage.

    Args:
        speed: test pictures/s, decoding included; None where the test is not looked at.
        begun: when evaluation started (perf_counter): its own seconds are those until now.
        profile: of the network, counted (graftwork.profiling.stored).
        measured: of the network on this machine (likewise).

    Returns:
        seconds by stage, images_per_second by use, peak_mib over all stages, parameters,
        trainable_parameters; of the network for one image: macs, activation_mib (the outputs of
        all layers in fp32), latency_ms, energy_mj_per_image, in words where that is from, and
        whether other programs kept the machine busy meanwhile.
    """
    from graftwork.recording.costs import Cost

    own = Cost.of_process(time.perf_counter() - begun).as_dict()
    spent = {stage: _cost(artifacts.cost(stage)) for stage in STAGES} | {"evaluate": own}
    spent = {stage: found for stage, found in spent.items() if found}
    extraction = _read(artifacts.feature_receipt).get("images_per_second")
    contract = model_folder.read_contract(artifacts.model)
    everything, head = parameters(artifacts.model, contract)
    training = contract.training
    return {
        "seconds": {stage: found["seconds"] for stage, found in spent.items()},
        "images_per_second": ({"feature_extraction": extraction} if extraction else {})
        | ({"test": speed} if speed else {}),
        "peak_mib": max(found["peak_mib"] for found in spent.values()),
        "parameters": everything,
        # Without epochs, the head is all that was fitted.
        "trainable_parameters": training.get("trainable_parameters", head),
        "macs": profile["macs"] + macs_beyond(profile, artifacts.model),
        "activation_mib": profile["activation_mib"],
        "latency_ms": measured["latency_ms"],
        "energy_mj_per_image": measured["energy_mj_per_image"],
        "energy_source": measured["energy_source"],
        "machine": measured["machine"],
    }


def parameters(model: Path, contract: model_folder.Contract) -> tuple[int, int]:
    """How many parameters a model has, and how many of them its head.

    Statistics of BatchNorm stand among the tensors, but are no parameters.

    Raises:
        UserError: one of its files is damaged.
    """
    model_folder.check_whole(model, contract)
    backbone, head = (_count(model / name) for name in (model_folder.BACKBONE, model_folder.HEAD))
    return backbone + head, head


def macs_beyond(profile: Mapping[str, Any], model: Path) -> int:
    """Multiply-accumulates of the model's own head, beyond those of the one that was counted.

    A head that was fitted on stored features brings its own kind. Each number of its matrices, a
    bank of pictures among them, is multiplied once for a picture.
    """
    from safetensors import safe_open

    with safe_open(model / model_folder.HEAD, "numpy") as tensors:
        shapes = [tensors.get_slice(name).get_shape() for name in tensors.keys()]  # noqa: SIM118
    own = sum(math.prod(shape) for shape in shapes if len(shape) == 2)
    counted = (row for row in profile["layers"] if row["name"].partition(".")[0] == "head")
    return own - sum(row["macs"] for row in counted)


def _count(weights: Path) -> int:
    from safetensors import safe_open

    with safe_open(weights, "numpy") as tensors:
        return sum(
            math.prod(tensors.get_slice(name).get_shape())
            for name in tensors.keys()  # noqa: SIM118  (not a mapping)
            if not name.endswith(("running_mean", "running_var", "num_batches_tracked"))
        )


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
    frame: pd.DataFrame | None,
    classes: list[str],
    probabilities: np.ndarray | None,
    scores: Scores,
    spent: Mapping[str, Any],
    profile: Mapping[str, Any],
    selection: SelectionRecord | None = None,
    selection_scores: Scores | None = None,
    start: Mapping[str, Any] | None = None,
    held_out: tuple[pd.DataFrame, np.ndarray] | None = None,
    views: Mapping[str, Any] | None = None,
    engine: Mapping[str, Any] | None = None,
) -> None:
    """Writes reports/plots/ (SVG for people, CSV for `dvc plots`) and reports/report.html.

    Args:
        frame: of the test pictures; None, as are their probabilities, where nobody looked at them.
        scores: on the test pictures; empty where nobody looked: the pictures that were held out
            are drawn instead.
        spent: what `cost` says.
        profile: of the network (graftwork.profiling.stored).
        selection: how what is kept was chosen.
        selection_scores: on the pictures that chose.
        start: scores of what training began from, by `selection` and `test`; `difference`, where
            given, holds the result's minus these, likewise.
        held_out: the pictures that chose (sha256, path, label), and the probabilities `[n,
            num_classes]` that networks gave which had not seen them.
        views: what several views of test pictures gain and cost; None: there was one.
        engine: how the network was run on them; None: it was not.
    """
    chosen_by = selection_scores or {}
    evaluation = experiment.evaluation
    metrics = evaluation.metrics_for(len(classes))
    tested = None if frame is None or probabilities is None else (frame, probabilities)
    drawn = drawn_of(classes, (scores, tested), (chosen_by, held_out))
    audit = Audit.read(artifacts.audit)
    pictures = _pictures(artifacts, drawn, metrics, evaluation.confidence, audit)
    if selection:
        selection_plots.write(artifacts.plots, selection)
    images = DecodedImages(artifacts, experiment.dataset)
    contract = model_folder.read_contract(artifacts.model)
    shown = report.Report(
        title=title(experiment),
        split=drawn.split if drawn else plots.TEST,
        scores=drawn.scores if drawn else {},
        metrics=metrics,
        confidence=evaluation.confidence,
        cost=spent,
        profile=profile,
        selection=selection_plots.sentence(contract.training["selection"]),
        # Like with like: what chose, and what training began from, are of one view.
        choice=choice(selection, chosen_by, views["one"] if views else scores, start, metrics)
        if selection
        else None,
        views=view_gain(views, scores, metrics),
        engine=engine_words.sentence(engine) if engine else "",
        audit=audit,
        movement=movement_plot.lines(audit),
        pictures=pictures,
        classes=drawn.by_class(evaluation.confidence) if drawn else [],
        mistakes=drawn.mistakes(images, evaluation.mistakes) if drawn else [],
        wrong=drawn.wrong if drawn else 0,
        data=_read(artifacts.data_report),
        configuration=_configuration(artifacts.params),
        lineage=lineage(artifacts, start_of(experiment, artifacts)),
    )
    report.write(artifacts.report, shown)


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
    values = nested_public(yaml.safe_load(path.read_text(encoding="utf-8")))
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def _cost(path: Path) -> dict[str, Any]:
    return read_receipt(path, "What that stage took is left out.")


def _read(path: Path) -> dict[str, Any]:
    return read_json(path, "Run the stage that writes it again.") if path.is_file() else {}
