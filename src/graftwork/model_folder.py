"""The model folder: safetensors weights and a JSON contract; prediction needs nothing else.

Nothing in it is code. The architecture is built by name from graftwork's components, the weights
are plain tensors whose sha256 stands in the contract, and the same model gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graftwork.component_params import params_of
from graftwork.components import build
from graftwork.errors import UserError
from graftwork.models.base import InputSpec, Model

if TYPE_CHECKING:
    from graftwork.classifier import Classifier
    from graftwork.experiment import Experiment

FORMAT = 2
WEIGHTS = "model.safetensors"
CONTRACT = "model.json"


@dataclass(frozen=True)
class Preprocessing:
    """What was done to a picture before the network's own view of it."""

    decoded_side: int  # px: shrunk to this shorter side first
    max_pixels: int  # larger pictures are refused


@dataclass(frozen=True)
class Contract:
    """What model.json says."""

    format: int
    architecture: dict[
        str, Any
    ]  # parameters of the model component, its source of weights left out
    classes: list[str]  # index = label
    input_spec: InputSpec
    preprocessing: Preprocessing
    training: dict[
        str, Any
    ]  # strategy, epochs, selection, splits, seed, ... in the trainer's words
    pretrained: dict[str, Any] | None  # file, sha256, origin, pretrained_on, licence
    data_digest: str  # of the manifest's rows
    weights_sha256: str  # of model.safetensors


def save(
    folder: Path,
    weights: Classifier | Mapping[str, np.ndarray],
    *,
    experiment: Experiment,
    input_spec: InputSpec,
    classes: list[str],
    training: dict[str, Any],
    pretrained: dict[str, Any] | None,
    data_digest: str,
) -> Contract:
    """Writes the folder; the contract comes last, so that a folder with one is whole.

    Args:
        weights: the classifier; or its tensors by name (`backbone.*`, `head.*`), for who trained
            a head on stored features and never built the network.
        training: plain JSON values that are the same for the same run: no times.
        pretrained: what the weights' receipt says, or None for a random start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONTRACT).unlink(missing_ok=True)
    content = _serialised(weights)
    _replace(folder / WEIGHTS, content)
    contract = Contract(
        format=FORMAT,
        architecture=params_of(experiment.model) | {"weights": None},
        classes=list(classes),
        input_spec=input_spec,
        preprocessing=Preprocessing(experiment.dataset.decoded_side, experiment.dataset.max_pixels),
        training=training,
        pretrained=pretrained,
        data_digest=data_digest,
        weights_sha256=hashlib.sha256(content).hexdigest(),
    )
    text = json.dumps(asdict(contract), indent=1, sort_keys=True) + "\n"
    _replace(folder / CONTRACT, text.encode())
    return contract


def tensors_of(classifier: Classifier) -> dict[str, np.ndarray]:
    """Parameters and buffers by name, in their plain memory layout."""
    state = classifier.state_dict().items()
    return {name: np.ascontiguousarray(tensor.detach().cpu().numpy()) for name, tensor in state}


def _serialised(weights: Classifier | Mapping[str, np.ndarray]) -> bytes:
    from safetensors.numpy import save

    tensors = weights if isinstance(weights, Mapping) else tensors_of(weights)
    assert any(name.startswith("head.") for name in tensors), sorted(tensors)[:3]
    contiguous = {name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}
    return bytes(save(contiguous))


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read_contract(folder: Path) -> Contract:
    """What model.json says, checked; imports no torch.

    Raises:
        UserError: it is missing, of another format, or damaged.
    """
    path = folder / CONTRACT
    if not path.is_file():
        raise UserError(f"{path}: no such file. Point to the folder `model` of a finished run.")
    try:
        values = json.loads(path.read_text())
        found = values["format"]
        if found == FORMAT:
            values["preprocessing"] = Preprocessing(**values["preprocessing"])
            spec = values["input_spec"]
            pair = {"mean": tuple(spec["mean"]), "std": tuple(spec["std"])}
            values["input_spec"] = InputSpec(**spec | pair)
            return Contract(**values)
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path}: is damaged ({error}). Take it from the run again.") from error
    raise UserError(f"{path}: format {found}; this graftwork reads format {FORMAT}.")


def load(folder: Path) -> tuple[Classifier, Contract]:
    """The network in eval mode, and its contract. Executes nothing from the folder.

    Raises:
        UserError: a file is missing or damaged, or the weights are not the contract's.
    """
    import torch

    contract = read_contract(folder)
    tensors = read_tensors(folder, contract)
    model = build(contract.architecture, Model, "architecture")  # type: ignore[type-abstract]
    with torch.random.fork_rng(devices=[]):  # the random start is overwritten
        classifier = model.build(len(contract.classes), None)
    if classifier.input_spec != contract.input_spec:
        raise UserError(
            f"{folder / CONTRACT}: the network wants {classifier.input_spec}, the model was "
            f"trained with {contract.input_spec}. Use the library versions of the training."
        )
    state = {name: torch.from_numpy(array) for name, array in tensors.items()}
    try:
        classifier.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(f"{folder / WEIGHTS}: does not fit its contract: {error}") from error
    return classifier.eval(), contract


def read_tensors(folder: Path, contract: Contract) -> dict[str, np.ndarray]:
    """The weights, once their sha256 is the contract's. Raises UserError."""
    from safetensors.numpy import load as parse

    path = folder / WEIGHTS
    if not path.is_file():
        raise UserError(f"{path}: no such file. Take the whole folder from the run again.")
    content = path.read_bytes()
    actual = hashlib.sha256(content).hexdigest()
    if actual != contract.weights_sha256:
        raise UserError(
            f"{path}: sha256 is {actual}, the contract says {contract.weights_sha256}. "
            "The file is damaged or belongs to another run; take both files from one run."
        )
    return dict(parse(content))
