"""Small trainings that are cut at a step, and started again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny_experiment import tiny_experiment
from tiny_transfer import transfer_params

from graftwork.data import manifest
from graftwork.experiment import Experiment
from graftwork.features.feature_store import features_of
from graftwork.model_folder.saving import StoredBackbone
from graftwork.models.network.tensors import tensors_of
from graftwork.selecting.held_out import held_out
from graftwork.storage.artifacts import Artifacts
from graftwork.training.graft_module import GraftModule
from graftwork.training.resuming.legs import Legs
from graftwork.training.source import Finetuned
from graftwork.training.transferring import finetune

SETTINGS = (
    "selection=random", "trainer.batch_size=7", "transfer.epochs=2", "trainer.precision=fp32",
    "transfer.schedule.warmup=0", "trainer.refit_epochs=1", "augmentation=standard",
    "transfer.average.trained_shares=[1.0]",
)  # fmt: skip


class Cut(BaseException):
    """Stands for whatever ends a process without asking it."""


def unasked() -> None:
    raise Cut


@dataclass(frozen=True)
class End:
    """What a fine-tuning came to."""

    sha256: str  # of all tensors
    rows: list[dict[str, float]]
    told: list[tuple[int, dict[str, float]]]
    facts: Mapping[str, Any]


class Trainings:
    """One experiment's fine-tunings, each with a folder of its own."""

    def __init__(self, photos: Path, weights: Path, project: Path, *overrides: str) -> None:
        values = transfer_params(photos, weights, *SETTINGS, *overrides)
        self.experiment, self.artifacts = tiny_experiment(values, project)
        self.steps = 0  # of the latest run, of all its legs

    def run(
        self,
        folder: Path | None,
        patch: pytest.MonkeyPatch,
        cut_at: int | None = None,
        every: int = 1,
        cut: Callable[[], None] = unasked,
    ) -> End:
        """Fine-tunes.

        Args:
            cut_at: the step, from 0 and of all legs, before which something happens.
            cut: what; it raises Cut.
        """
        real, self.steps = GraftModule.training_step, 0

        def step(module: GraftModule, *batch: Any) -> Any:
            if self.steps == cut_at:
                cut()
            self.steps += 1
            return real(module, *batch)

        legs = None if folder is None else Legs(folder, None, every, None)
        told: list[tuple[int, dict[str, float]]] = []
        with patch.context() as patched:
            patched.setattr(GraftModule, "training_step", step)
            found = tuned(self.experiment, self.artifacts, legs, told)
        return end_of(found, told)

    def resumed(
        self, folder: Path, patch: pytest.MonkeyPatch, cuts: Sequence[int], every: int = 1
    ) -> End:
        """Cut at each of these steps, counted from where it goes on; then to its end."""
        for cut in cuts:
            with pytest.raises(Cut):
                self.run(folder, patch, cut, every)
        return self.run(folder, patch, None, every)


def tuned(
    experiment: Experiment, artifacts: Artifacts, legs: Legs | None, told: list[Any]
) -> Finetuned:
    frame = manifest.read(artifacts.manifest)

    def features(rows: pd.DataFrame) -> Any:
        return features_of(experiment, artifacts, rows)

    chooses = held_out(experiment, frame, 3, features)
    tell = lambda row, epoch: told.append((epoch, dict(row)))  # noqa: E731
    return finetune(experiment, artifacts, chooses, None, 3, tell, legs)


def end_of(found: Finetuned, told: list[Any]) -> End:
    weights = found.model.weights
    tensors = weights.head if isinstance(weights, StoredBackbone) else tensors_of(weights)
    return End(sha256_of(tensors), found.rows, told, found.facts)


def sha256_of(tensors: Mapping[str, np.ndarray]) -> str:
    found = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        found.update(name.encode() + tensor.tobytes())
    return found.hexdigest()
