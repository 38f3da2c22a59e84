"""The model folder: safetensors weights and a JSON contract; prediction needs nothing else.

Nothing in it is code. The architecture is built by name from graftwork's components, the weights
are plain tensors whose sha256 stand in the contract, and the same model gives the same bytes.

Backbone and head are a file each. A backbone that nobody trained is the store's own file: the heads
of a sweep take the disk space of one backbone, and their contracts show that it is the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.model_folder.contract_checks import check_contract
from graftwork.model_folder.growth import no_larger_than
from graftwork.models.base import Head, InputSpec, Model
from graftwork.models.network.tensors import within
from graftwork.storage.files import (
    sha256_of,
    unsealed,
)

if TYPE_CHECKING:
    from graftwork.models.network.classifier import Classifier

FORMAT = 3
BACKBONE = "backbone.safetensors"
HEAD = "head.safetensors"
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
    weights_sha256: dict[str, str]  # by file


def folder_at(place: Path) -> Path:
    """The model folder that a path names: it may name a run's folder, which holds one."""
    inside = place / "model"
    return inside if (inside / CONTRACT).is_file() else place


def read_contract(folder: Path) -> Contract:
    """What model.json says, checked; imports no torch.

    Raises:
        UserError: it is missing, of another format, or damaged.
    """
    path = folder / CONTRACT
    if not path.is_file():
        raise UserError(f"{path}: no such file. Point to the folder `model` of a finished run.")
    try:
        values = unsealed(json.loads(path.read_text()))
        found = values["format"]
        if found == FORMAT:
            check_contract(values)
            values["preprocessing"] = Preprocessing(**values["preprocessing"])
            spec = values["input_spec"]
            pair = {"mean": tuple(spec["mean"]), "std": tuple(spec["std"])}
            values["input_spec"] = InputSpec(**spec | pair)
            hashes = values["weights_sha256"]
            values["weights_sha256"] = {name: hashes[name] for name in (BACKBONE, HEAD)}
            return Contract(**values)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
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
    classifier = _network(folder, contract, tensors)
    if classifier.input_spec != contract.input_spec:
        raise UserError(
            f"{folder / CONTRACT}: the network wants {classifier.input_spec}, the model was "
            f"trained with {contract.input_spec}. Use the library versions of the training."
        )
    try:
        state = {name: torch.from_numpy(array) for name, array in tensors.items()}
        classifier.load_state_dict(state)
    except (RuntimeError, TypeError) as error:
        raise UserError(f"{folder}: the weights do not fit their contract: {error}") from error
    return classifier.eval(), contract


def was_trained(folder: Path, contract: Contract) -> bool:
    """Whether training has changed the backbone; else the head was computed from its features.

    Raises:
        UserError: the contract does not say so; an earlier version trained it.
    """
    if "trained_share" not in contract.training:
        raise UserError(
            f"{folder}: it does not say how far its network was trained (trained_share). "
            "Run the stage finetune again, which writes it."
        )
    return bool(contract.training["trained_share"])


def model_of(folder: Path, contract: Contract) -> Model:
    """What the network is built by; imports no torch.

    Raises:
        UserError: the contract names none.
    """
    described = {"cut_after": None} | contract.architecture  # older contracts knew no such key
    try:
        return build(described, Model, "architecture")  # type: ignore[type-abstract]
    except UserError as error:
        raise UserError(f"{folder / CONTRACT}: no network can be built from it: {error}") from error


def _network(folder: Path, contract: Contract, tensors: Mapping[str, np.ndarray]) -> Classifier:
    import torch

    model = model_of(folder, contract)
    try:
        with no_larger_than(tensors), torch.random.fork_rng(devices=[]):  # a start that goes
            return model.build(len(contract.classes), None)
    except Exception as error:  # whoever wrote the contract chose the arguments of timm's code
        said = str(error) if isinstance(error, UserError) else repr(error)
        raise UserError(f"{folder / CONTRACT}: no network can be built from it: {said}") from error


def read_tensors(
    folder: Path, contract: Contract, names: Sequence[str] = (BACKBONE, HEAD)
) -> dict[str, np.ndarray]:
    """The weights in these files, once their sha256 are the contract's. Raises UserError."""
    found: dict[str, np.ndarray] = {}
    for name in names:
        found |= _read(folder / name, contract.weights_sha256[name])
    return found


def read_head(folder: Path) -> tuple[Head, dict[str, np.ndarray]]:
    """The head's kind, and its tensors as its module calls them; imports no torch.

    Raises:
        UserError: the folder is not whole, or the contract names no head.
    """
    contract = read_contract(folder)
    tensors = read_tensors(folder, contract, [HEAD])
    try:
        head = build(contract.architecture["head"], Head, "head")  # type: ignore[type-abstract]
    except (KeyError, UserError) as error:
        raise UserError(f"{folder / CONTRACT}: no head can be built from it: {error}") from error
    return head, within(tensors, "head.")


def check_whole(folder: Path, contract: Contract) -> None:
    """Compares the sha256 of the weights with the contract's, once a process: 1 s per GiB.

    Raises:
        UserError: one of them is another.
    """
    for wrong in damaged_files(folder, contract):
        raise UserError(wrong)


def damaged_files(folder: Path, contract: Contract) -> Iterator[str]:
    """Those of `check_whole`, each with its remedy."""
    for name, expected in contract.weights_sha256.items():
        path = folder / name
        actual = sha256_of(path) if path.is_file() else None
        if actual != expected:
            yield _wrong(path, actual, expected)


def _wrong(path: Path, actual: str | None, expected: str) -> str:
    if actual is None:
        return f"{path}: no such file. Take the whole folder from the run again."
    return (
        f"{path}: sha256 is {actual}, the contract says {expected}. The file is damaged or "
        "belongs to another run; take all files from one run."
    )


def _read(path: Path, expected: str) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load as parse

    if not path.is_file():
        raise UserError(_wrong(path, None, expected))
    content = path.read_bytes()
    if (actual := hashlib.sha256(content).hexdigest()) != expected:
        raise UserError(_wrong(path, actual, expected))
    try:
        return dict(parse(content))
    except (SafetensorError, KeyError, TypeError, ValueError) as error:  # or a type numpy lacks
        raise UserError(f"{path}: holds no tensors that can be read: {error!r}") from error
