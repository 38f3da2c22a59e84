"""The probe that training began from: what the trained network is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graftwork.models.network.tensors import serialised
from graftwork.storage.files import write_durably


@dataclass(frozen=True)
class Start:
    """A linear head on stored features."""

    weight: np.ndarray  # float32 [num_classes, num_features]
    bias: np.ndarray  # float32 [num_classes]
    # float32 [n, num_classes], of the pictures of held_out.parquet, which it had not seen; None
    # where the way did not begin at it.
    held_out: np.ndarray | None

    def logits(self, features: np.ndarray) -> np.ndarray:
        """`[n, num_features]` to `[n, num_classes]`, in float64."""
        return np.asarray(
            features.astype(np.float64) @ self.weight.T.astype(np.float64) + self.bias
        )

    def write(self, path: Path) -> None:
        found = {"weight": self.weight, "bias": self.bias, "held_out": self.held_out}
        tensors = {
            n: np.ascontiguousarray(t, np.float32) for n, t in found.items() if t is not None
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, serialised(tensors))

    @classmethod
    def read(cls, path: Path) -> Start | None:
        """What `write` wrote; None where there is none."""
        from safetensors.numpy import load_file

        if not path.is_file():
            return None
        tensors = load_file(path)
        return cls(tensors["weight"], tensors["bias"], tensors.get("held_out"))
