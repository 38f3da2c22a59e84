"""Writing the model folder: whole or not at all, and the same model gives the same bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graftwork.config.component_params import params_of
from graftwork.model_folder.contents import (
    BACKBONE,
    CONTRACT,
    FORMAT,
    HEAD,
    Contract,
    Preprocessing,
)
from graftwork.models.base import Head, InputSpec, Model
from graftwork.models.network.tensors import part, serialised, tensors_of
from graftwork.storage.files import READ_ONLY, link_or_copy, seal, write_durably
from graftwork.storage.swapping import swapped_in

if TYPE_CHECKING:
    from graftwork.experiment import Experiment
    from graftwork.models.network.classifier import Classifier


@dataclass(frozen=True)
class StoredBackbone:
    """A head on a backbone that nobody trained, whose file is in the store already."""

    file: Path  # tensors `backbone.*`, as graftwork.models.network.tensors serialises them
    sha256: str
    head: Mapping[str, np.ndarray]  # tensors `head.*`


def save(
    folder: Path,
    weights: Classifier | StoredBackbone,
    *,
    experiment: Experiment,
    head: Head | None = None,
    input_spec: InputSpec,
    classes: list[str],
    training: dict[str, Any],
    pretrained: dict[str, Any] | None,
    data_digest: str,
) -> Contract:
    """Writes the folder beside its place, and puts it there when it is whole.

    Args:
        weights: the classifier; or its parts, for who trained a head on stored features and never
            built the network.
        head: the kind that was trained or fitted; None: the experiment's.
        training: plain JSON values that are the same for the same run: no times.
        pretrained: what the weights' receipt says, or None for a random start.
    """
    with swapped_in(folder, CONTRACT) as partial:
        contract = Contract(
            format=FORMAT,
            architecture=_architecture(experiment.model, head or experiment.model.head),
            classes=list(classes),
            input_spec=input_spec,
            preprocessing=_preprocessing(experiment),
            training=training,
            pretrained=pretrained,
            data_digest=data_digest,
            weights_sha256=_save_weights(partial, weights),
        )
        text = json.dumps(seal(asdict(contract)), indent=1, sort_keys=True) + "\n"
        write_durably(partial / CONTRACT, text.encode())
    return contract


def _preprocessing(experiment: Experiment) -> Preprocessing:
    return Preprocessing(experiment.dataset.decoded_side, experiment.dataset.max_pixels)


def _architecture(model: Model, head: Head) -> dict[str, Any]:
    return params_of(model) | {"weights": None, "head": params_of(head)}


def _save_weights(folder: Path, weights: Classifier | StoredBackbone) -> dict[str, str]:
    """Writes or links both files. Returns their sha256 by name."""
    if isinstance(weights, StoredBackbone):
        link_or_copy(weights.file, folder / BACKBONE)
        return {BACKBONE: weights.sha256, HEAD: _write(folder / HEAD, weights.head)}
    tensors = tensors_of(weights)
    parts = {BACKBONE: part(tensors, "backbone."), HEAD: part(tensors, "head.")}
    assert sum(map(len, parts.values())) == len(tensors), sorted(tensors)
    return {name: _write(folder / name, found) for name, found in parts.items()}


def _write(path: Path, tensors: Mapping[str, np.ndarray]) -> str:
    content = serialised(tensors)
    # Links to a backbone stand elsewhere, too: nobody shall write into it by mistake.
    write_durably(path, content, READ_ONLY if path.name == BACKBONE else 0o644)
    return hashlib.sha256(content).hexdigest()
