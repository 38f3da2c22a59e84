"""A prepared experiment with a model folder of random weights, as if a training had ended there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tiny_experiment import tiny_experiment

from graftwork.data import manifest
from graftwork.experiment import Experiment
from graftwork.storage.artifacts import Artifacts


def save_model(experiment: Experiment, artifacts: Artifacts, trained_share: float = 1.0) -> None:
    """Writes the model folder; the same every time."""
    import torch

    from graftwork.model_folder.saving import save

    torch.manual_seed(0)
    classifier = experiment.model.build(3, None)
    torch.nn.init.normal_(classifier.head.weight)  # else all logits are equal
    save(
        artifacts.model,
        classifier,
        experiment=experiment,
        input_spec=classifier.input_spec,
        classes=json.loads(artifacts.classes.read_text()),
        training={"selection": "the last epoch", "epochs": 1, "trained_share": trained_share},
        pretrained=None,
        data_digest="0",
    )


def untrained(
    params: Mapping[str, Any], folder: Path, trained_share: float = 1.0
) -> tuple[Experiment, Artifacts, Any]:
    """In folder/job, with its 15 test rows; what is shared lies in the folder."""
    experiment, artifacts = tiny_experiment(params, folder / "job", folder)
    save_model(experiment, artifacts, trained_share)
    frame = manifest.of_split(manifest.read(artifacts.manifest), "test")
    assert len(frame) == 15
    return experiment, artifacts, frame
