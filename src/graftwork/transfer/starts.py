"""Where a backbone's first weights come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftwork.config.errors import UserError
from graftwork.models.pretrained import weights_receipt
from graftwork.storage.files import sha256_of
from graftwork.transfer.parts import Start

if TYPE_CHECKING:
    from graftwork.models.base import Model
    from graftwork.models.network.classifier import Classifier


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

    def key_map(self, model: Model) -> str:
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
        return model.build(1, weights)


@dataclass(frozen=True)
class Random(Start):
    """Random weights, those of the seed."""

    @property
    def is_learnt(self) -> bool:
        return False

    def receipt(self, model: Model, folder: Path) -> dict[str, Any] | None:
        return None

    def key_map(self, model: Model) -> str:
        raise AssertionError("random weights are in no file")

    def network(self, model: Model, folder: Path) -> Classifier:
        return model.build(1, None)
