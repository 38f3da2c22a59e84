"""The head that training began from: what the trained network is compared with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graftwork.config.component_params import params_of
from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.models.base import Head
from graftwork.models.network.tensors import placed, serialised, within
from graftwork.storage.files import write_durably

ABOUT = "head"  # of the file's metadata: the head's parameters
PREFIX = "head."
REMEDY = "Run the stage finetune again, which writes this file."


@dataclass(frozen=True)
class FirstHead:
    """A head on stored features."""

    head: Head
    tensors: Mapping[str, np.ndarray]  # of the module that it builds
    num_classes: int
    # float32 [n, num_classes], of the pictures of held_out.parquet, which it had not seen; None
    # where the way did not begin at it.
    held_out: np.ndarray | None

    def logits(self, features: np.ndarray) -> np.ndarray:
        """`[n, num_features]` to `[n, num_classes]`, in float64."""
        return self.head.logits(self.tensors, features, self.num_classes)

    def write(self, path: Path) -> None:
        tensors = placed(self.tensors, PREFIX)
        if self.held_out is not None:
            tensors["held_out"] = self.held_out.astype(np.float32)
        about = {"num_classes": self.num_classes, "head": params_of(self.head)}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, serialised(tensors, {ABOUT: json.dumps(about, sort_keys=True)}))

    @classmethod
    def read(cls, path: Path) -> FirstHead | None:
        """What `write` wrote; None where there is none.

        Raises:
            UserError: it does not say what head it is; an earlier version wrote it.
        """
        from safetensors import safe_open

        if not path.is_file():
            return None
        with safe_open(path, framework="numpy") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if ABOUT not in about:
            raise UserError(f"{path}: does not say what head it is. {REMEDY}")
        said = json.loads(about[ABOUT])
        head = build(said["head"], Head, "head")  # type: ignore[type-abstract]
        return cls(head, within(tensors, PREFIX), said["num_classes"], tensors.get("held_out"))
