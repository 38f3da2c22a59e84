"""Gathers what an experiment left on disk into its pictures, tables and report."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from markupsafe import Markup

from graftwork import model_folder
from graftwork.artifacts import Artifacts
from graftwork.experiment import Experiment
from graftwork.images import DecodedImages
from graftwork.recording.lineage import lineage
from graftwork.recording.tracked_params import nested_public
from graftwork.reporting import plots, report
from graftwork.reporting.drawing import standalone
from graftwork.reporting.per_class import class_scores
from graftwork.reporting.summary import title
from graftwork.reporting.training_curves import curves, read_history

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
    from graftwork.costs import Cost

    own = Cost.of_process(time.perf_counter() - begun).as_dict()
    spent = {stage: _read(artifacts.cost(stage)) for stage in STAGES} | {"evaluate": own}
    spent = {stage: found for stage, found in spent.items() if found}
    extraction = _read(artifacts.feature_receipt).get("images_per_second")
    everything, head = parameters(artifacts.model)
    training = model_folder.read_contract(artifacts.model).training
    return {
        "seconds": {stage: found["seconds"] for stage, found in spent.items()},
        "images_per_second": ({"feature_extraction": extraction} if extraction else {})
        | ({"test": speed} if speed else {}),
        "peak_mib": max(found["peak_mib"] for found in spent.values()),
        "parameters": everything,
        # Without epochs, the head is all that was fitted.
        "trainable_parameters": training.get("trainable_parameters", head),
        "macs": profile["macs"],
        "activation_mib": profile["activation_mib"],
        "latency_ms": measured["latency_ms"],
        "energy_mj_per_image": measured["energy_mj_per_image"],
        "energy_source": measured["energy_source"],
        "machine": measured["machine"],
    }


def parameters(model: Path) -> tuple[int, int]:
    """How many parameters a model has, and how many of them its head; reads the headers alone.

    Statistics of BatchNorm stand among the tensors, but are no parameters.
    """
    backbone, head = (_count(model / name) for name in (model_folder.BACKBONE, model_folder.HEAD))
    return backbone + head, head


def _count(weights: Path) -> int:
    from safetensors import safe_open

    with safe_open(weights, "numpy") as tensors:
        return sum(
            math.prod(tensors.get_slice(name).get_shape())
            for name in tensors.keys()  # noqa: SIM118  (not a mapping)
            if not name.endswith(("running_mean", "running_var", "num_batches_tracked"))
        )


def flat(scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Scores under the names that MLflow shows: test/top1, test/top1_low, test/top1_high."""
    return {
        f"test/{name}{suffix}": score[key]
        for name, score in scores.items()
        for suffix, key in (("", "value"), ("_low", "low"), ("_high", "high"))
    }


def write(
    experiment: Experiment,
    artifacts: Artifacts,
    frame: pd.DataFrame,
    classes: list[str],
    probabilities: np.ndarray | None,
    scores: Mapping[str, Mapping[str, float]],
    spent: Mapping[str, Any],
    profile: Mapping[str, Any],
) -> None:
    """Writes reports/plots/ (SVG for people, CSV for `dvc plots`) and reports/report.html.

    Without probabilities the test was not looked at: then no picture or table is of it.
    """
    if probabilities is None:
        frame, probabilities = frame.iloc[:0], np.zeros((0, len(classes)))
    evaluation = experiment.evaluation
    metrics = evaluation.metrics_for(len(classes))
    labels, predicted = frame["label"].to_numpy(), probabilities.argmax(axis=1)
    by_class = class_scores(classes, labels, predicted, evaluation.confidence)
    pictures: dict[str, Markup | None] = {"training": curves(read_history(artifacts.history))}
    tested = {
        "intervals": lambda: plots.metric_intervals(scores, metrics, evaluation.confidence),
        "confusion": lambda: plots.confusion(classes, labels, predicted),
        "classes": lambda: plots.class_bars(by_class),
        "calibration": lambda: plots.reliability(probabilities, labels),
    }
    pictures |= {name: draw() for name, draw in tested.items() if scores}
    artifacts.plots.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        if picture:
            (artifacts.plots / f"{name}.svg").write_text(standalone(picture), encoding="utf-8")
    if scores:
        plots.write_tables(artifacts.plots, classes, labels, predicted, by_class)
    images = DecodedImages(artifacts, experiment.dataset)
    count = evaluation.mistakes
    contract = model_folder.read_contract(artifacts.model)
    shown = report.Report(
        title=title(experiment),
        scores=scores,
        metrics=metrics,
        confidence=evaluation.confidence,
        cost=spent,
        profile=profile,
        selection=_sentence(contract.training["selection"]),
        pictures=pictures,
        classes=by_class,
        mistakes=report.worst_mistakes(frame, classes, probabilities, images, count),
        wrong=int((labels != predicted).sum()),
        data=_read(artifacts.data_report),
        configuration=_configuration(artifacts.params),
        lineage=lineage(artifacts, experiment.model.name),
    )
    report.write(artifacts.report, shown)


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:].rstrip(".") + "."


def _configuration(path: Path) -> str:
    """params.yaml without secrets: a report is made to be passed on."""
    if not path.is_file():
        return ""
    values = nested_public(yaml.safe_load(path.read_text(encoding="utf-8")))
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
