"""A small trained network, written to a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graftwork.experiment import Experiment
from graftwork.model_folder.contents import BACKBONE, Contract, read_contract
from graftwork.model_folder.saving import StoredBackbone, save
from graftwork.models.network.classifier import Classifier
from graftwork.models.network.tensors import part, tensors_of

CLASSES = ["blue", "green", "red"]
Trained = tuple[Experiment, Classifier]


def write(folder: Path, trained: Trained, **changes: Any) -> Contract:
    experiment, classifier = trained
    values: dict[str, Any] = {
        "experiment": experiment,
        "input_spec": classifier.input_spec,
        "classes": CLASSES,
        "training": {"strategy": "from_scratch", "epochs": 1},
        "pretrained": None,
        "data_digest": "d",
    }
    return save(folder, changes.pop("weights", classifier), **values | changes)


def stored(folder: Path, classifier: Classifier) -> StoredBackbone:
    """The head of a classifier, on the backbone of a folder."""
    head = part(tensors_of(classifier), "head.")
    backwards = dict(reversed(head.items()))
    return StoredBackbone(
        folder / BACKBONE, read_contract(folder).weights_sha256[BACKBONE], backwards
    )
