"""Where a backbone's first weights come from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftwork.config.errors import UserError, check_choice, nearest_first
from graftwork.models.base import WeightsFile
from graftwork.models.key_maps import KEY_MAPS
from graftwork.models.pretrained import weights_receipt
from graftwork.storage.files import sha256_of
from graftwork.transfer.parts import Start

if TYPE_CHECKING:
    from graftwork.models.base import Model
    from graftwork.models.network.classifier import Classifier

SUFFIXES = (".safetensors", ".pth", ".pt")  # of files whose tensors can be read without their code


START = "transfer.start.path"


def existing(path: str, what: str, key: str = START, remedy: str = f"Set {START}=...") -> Path:
    """The absolute path of something that a user names.

    Args:
        path: as the user wrote it; relative ones count from the project's folder.
        what: `file` or `folder`.
        key: where the path stands.
        remedy: what to do where nothing is there.

    Raises:
        UserError: there is nothing; names close by are offered.
    """
    wanted = Path(path).expanduser().absolute()
    if wanted.is_file() if what == "file" else wanted.is_dir():
        return wanted
    near = nearest_first(wanted.name, (place.name for place in wanted.parent.glob("*")))[:3]
    hint = f" Near it: {', '.join(near)}." if near else ""
    raise UserError(f"{key}: no such {what}: {wanted}.{hint} {remedy}")


@lru_cache(maxsize=64)  # once a process for each state of a file
def _sha256(path: Path, *state: int) -> str:
    return sha256_of(path)


@dataclass(frozen=True)
class Registry(Start):
    """The model's own pretrained weights: `model.weights`, brought by the download stage."""

    @property
    def is_registry(self) -> bool:
        return True

    def receipt(self, model: Model, folder: Path) -> dict[str, Any] | None:
        """Raises UserError where the download stage has not run for this model."""
        found = weights_receipt(folder)
        return found if found["file"] else None

    def key_map_of(self, model: Model) -> str:
        assert model.weights is not None, "weights were downloaded for a model that declares none"
        return model.weights.key_map

    def network(self, model: Model, folder: Path) -> Classifier:
        found = self.receipt(model, folder)
        if found is None:
            return model.build(1, None)
        weights = folder / found["file"]
        actual = sha256_of(weights) if weights.is_file() else "no file"
        if actual != found["sha256"]:  # one flipped bit would load without a word
            raise UserError(
                f"{weights}: has changed since its download: sha256 {found['sha256']} was "
                f"verified, {actual} is there. Remove {weights.parent} and run the stage "
                "download again."
            )
        return model.build(1, WeightsFile(weights, self.key_map_of(model), "model.weights"))


@dataclass(frozen=True)
class Random(Start):
    """Random weights, those of the seed."""

    @property
    def is_learnt(self) -> bool:
        return False

    def receipt(self, model: Model, folder: Path) -> dict[str, Any] | None:
        return None

    def key_map_of(self, model: Model) -> str:
        raise AssertionError("random weights are in no file")

    def network(self, model: Model, folder: Path) -> Classifier:
        return model.build(1, None)


@dataclass(frozen=True)
class LocalFile(Start):
    """Weights of a file that the user has, read without running code from it."""

    path: str  # .safetensors, .pth or .pt; relative: to the project's folder
    key_map: str  # how its names become the backbone's; see graftwork.models.key_maps
    pretrained_on: str  # said in the model's contract: "ImageNet-1k", "my own photos"
    licence: str  # likewise

    def __post_init__(self) -> None:
        check_choice("key_map", self.key_map, KEY_MAPS)
        check_choice("path: the file's ending", Path(self.path).suffix, SUFFIXES)

    def check(self, model: Model) -> None:
        existing(self.path, "file")

    def receipt(self, model: Model, folder: Path) -> dict[str, Any] | None:
        path = existing(self.path, "file")
        found = path.stat()
        state = found.st_ino, found.st_size, found.st_mtime_ns
        return {
            "file": path.name,
            "sha256": _sha256(path, *state),
            "origin": self.path,
            "pretrained_on": self.pretrained_on,
            "licence": self.licence,
        }

    def key_map_of(self, model: Model) -> str:
        return self.key_map

    def network(self, model: Model, folder: Path) -> Classifier:
        file = WeightsFile(existing(self.path, "file"), self.key_map, "transfer.start")
        return model.build(1, file)
