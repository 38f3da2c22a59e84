"""Two hops: the backbone of an earlier run of graftwork is where the next one starts.

A model folder may come from anybody: its contract is JSON that is checked, its weights are plain
tensors whose sha256 stand in the contract, and nothing in it is run. Of the earlier run no more is
taken than the backbone; what it was trained on is kept in the new model's contract.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftwork.config.component_params import params_of
from graftwork.config.errors import UserError
from graftwork.model_folder.contents import BACKBONE, CONTRACT, Contract, folder_at, read_contract
from graftwork.models.pretrained import RUNS
from graftwork.transfer.parts import Start
from graftwork.transfer.starts import existing

if TYPE_CHECKING:
    from graftwork.models.base import Model
    from graftwork.models.network.classifier import Classifier

# What of a model is not its backbone's architecture, and may differ from one hop to the next.
_FREE = ("name", "weights", "pooling", "head", "input_size", "input_channels", "auxiliary_weight")
RUN_ID = re.compile("[0-9a-f]{32}")
# What is kept of each hop before the last.
_HOP = (
    *("origin", "sha256", "pretrained_on", "licence"),
    *("strategy", "seed", "data_digest", "classes"),
)


@dataclass(frozen=True)
class Earlier(Start):
    """The backbone of an earlier run; the head is new."""

    @abstractmethod
    def model_folder(self, folder: Path) -> Path:
        """The earlier run's model folder.

        Args:
            folder: where the download stage brings weights.

        Raises:
            UserError: it is not there.
        """

    @property
    @abstractmethod
    def origin(self) -> str:
        """As the user named it, for the lineage of the next model."""

    def receipt(self, model: Model, folder: Path) -> dict[str, Any] | None:
        """Of the hop that starts here, and under `earlier` of those before it, the latest first."""
        place = self.model_folder(folder)
        contract = read_contract(place)
        check_architecture(contract, place, model)
        here = {
            "file": BACKBONE,
            "sha256": contract.weights_sha256[BACKBONE],
            "origin": self.origin,
            "strategy": str(contract.training.get("strategy")),
            "seed": contract.training.get("seed"),
            "data_digest": contract.data_digest,
            "classes": contract.classes,
        }
        return {**here, "earlier": list(_hops(contract.pretrained))}

    def key_map_of(self, model: Model) -> str:
        return "model_folder"

    def network(self, model: Model, folder: Path) -> Classifier:
        import torch

        from graftwork.model_folder.contents import read_tensors
        from graftwork.models.weights import misfits

        place = self.model_folder(folder)
        contract = read_contract(place)
        classifier = model.build(1, None)
        wanted = classifier.backbone.state_dict()
        tensors = {}
        for full, array in read_tensors(place, contract, [BACKBONE]).items():
            name, tensor = full.removeprefix("backbone."), torch.from_numpy(array)
            single = name in wanted and not wanted[name].ndim and tensor.shape == (1,)
            tensors[name] = tensor.reshape(()) if single else tensor  # files keep no bare numbers
        if problems := misfits(wanted, tensors):
            raise UserError(
                f"transfer.start: {place / BACKBONE} does not fit the network: "
                f"{'; '.join(problems)}. Choose the network, its options and its input size as "
                "they were there."
            )
        classifier.backbone.load_state_dict(tensors)
        return classifier


@dataclass(frozen=True)
class EarlierRun(Earlier):
    """An earlier run by its folder."""

    path: str  # of the run, or its folder `model`; relative: to the project's folder

    def __post_init__(self) -> None:
        if self.path.startswith("run:"):
            raise UserError(
                f"path: '{self.path}' names a recorded run, not a folder. Choose "
                f"transfer/start=recorded_run transfer.start.run={self.path.removeprefix('run:')}"
            )

    @property
    def origin(self) -> str:
        return self.path

    def check(self, model: Model) -> None:
        self.receipt(model, Path())

    def model_folder(self, folder: Path) -> Path:
        return folder_at(existing(self.path, "folder"))


@dataclass(frozen=True)
class RecordedRun(Earlier):
    """An earlier run by its id in MLflow, whose model the download stage brings."""

    run: str  # 32 digits; `graftwork results` shows them

    def __post_init__(self) -> None:
        if not RUN_ID.fullmatch(self.run):
            raise UserError(
                f"run: '{self.run}' is no id of a run in MLflow. Legal: 32 digits 0-9 a-f, as "
                "`graftwork results` shows them."
            )

    @property
    def recorded(self) -> str | None:
        return self.run

    @property
    def origin(self) -> str:
        return f"run:{self.run}"

    def model_folder(self, folder: Path) -> Path:
        place = folder / RUNS / self.run
        if not (place / CONTRACT).is_file():
            raise UserError(f"{place}: no such folder. Run the stage download first.")
        return place


def check_architecture(contract: Contract, folder: Path, model: Model) -> None:
    """Raises UserError unless the earlier run's backbone is built as this model's."""
    here, there = _backbone(params_of(model)), _backbone(contract.architecture)
    if differing := sorted(name for name in {*here, *there} if here.get(name) != there.get(name)):
        pairs = (f"{name} {there.get(name)!r}, here {here.get(name)!r}" for name in differing)
        raise UserError(
            f"transfer.start: {folder / CONTRACT} is of another network: {'; '.join(pairs)}. "
            "Choose model= as it was there, or another run."
        )


def _backbone(architecture: Mapping[str, Any]) -> dict[str, Any]:
    """What decides which tensors a backbone has: a tag of timm's only names weights for it."""
    found = {name: value for name, value in architecture.items() if name not in _FREE}
    return found | {"architecture": str(found.get("architecture")).partition(".")[0]}


def _hops(pretrained: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
    """What an earlier contract says of its own start, and of all before that."""
    if pretrained is None:
        return
    earlier = pretrained.get("earlier")
    for hop in (pretrained, *(earlier if isinstance(earlier, list) else [])):
        if isinstance(hop, Mapping):
            yield {name: hop[name] for name in _HOP if name in hop}
