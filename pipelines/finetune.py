"""The transfer strategy: a head from stored features, or training through the network."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pandas as pd

from graftwork import distributed, manifest, model_folder
from graftwork.artifacts import Artifacts
from graftwork.experiment import Experiment
from graftwork.training import finetuning
from pipelines.stage import main


def run(experiment: Experiment, artifacts: Artifacts) -> None:
    """Writes the model folder, the training curves and run.json; records both in MLflow."""
    wanted = experiment.trainer.processes if experiment.transfer.epochs else 1
    if distributed.relaunched(wanted, artifacts, "pipelines.finetune"):
        return
    frame = manifest.read(artifacts.manifest)
    classes = json.loads(artifacts.classes.read_text())
    val = manifest.of_split(frame, "val")
    selection = finetuning.select(experiment, val["label"].to_numpy(), len(classes))
    fit = pd.concat([manifest.of_split(frame, split) for split in selection.fit])
    watched = {"val": val} if selection.rule == "best" else {}
    if experiment.trainer.watch_test:
        watched["test"] = manifest.of_split(frame, "test")
    with ExitStack() as stack:
        tell: Callable[[finetuning.Row, int], None] = lambda row, epoch: None  # noqa: E731
        if distributed.rank() == 0:
            from graftwork.tracking import open_run

            tell = stack.enter_context(open_run(experiment, artifacts)).log_metrics
        model, rows, facts = finetuning.finetune(
            experiment, artifacts, fit, watched, len(classes), tell
        )
        if distributed.rank() == 0:
            _save(experiment, artifacts, classes, selection, facts, model)
            finetuning.write_history(rows, artifacts.history)


def _save(
    experiment: Experiment,
    artifacts: Artifacts,
    classes: list[str],
    selection: finetuning.Selection,
    facts: dict[str, Any],
    model: finetuning.Model,
) -> None:
    from graftwork.engines.backbone import receipt
    from graftwork.recording.lineage import data_digests

    training = {
        "strategy": experiment.transfer.name,
        "seed": experiment.seed,
        "fit_splits": list(selection.fit),
        "selection": selection.words,
        **facts,
    }
    model_folder.save(
        artifacts.model,
        model.weights,
        experiment=experiment,
        input_spec=model.input_spec,
        classes=classes,
        training=training,
        pretrained=receipt(experiment, artifacts),
        data_digest=data_digests(artifacts.manifest)["data.digest"],
    )


if __name__ == "__main__":
    main(run)
