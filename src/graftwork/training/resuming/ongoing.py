"""A fine-tuning that may be cut and started again: which one it is, and what it left."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from graftwork.features.engines.keys import digest
from graftwork.storage.files import sha256_of
from graftwork.training.resuming.settings import settings_of

if TYPE_CHECKING:
    from graftwork.experiment import Experiment
    from graftwork.storage.artifacts import Artifacts
    from graftwork.training.resuming.legs import Legs

# Rooms of the package whose code decides how a training ends.
ROOMS = (
    *("augmentations", "data", "features", "metrics", "models", "selecting", "training"),
    "transfer",
)


@dataclass(frozen=True)
class Ongoing:
    """What a fine-tuning keeps until it is done.

    Attributes:
        folder: outside of what DVC removes before it starts a stage again.
        run: which MLflow run this is, of the experiment's folder.
    """

    folder: Path
    run: Path

    @classmethod
    def of(cls, experiment: Experiment, artifacts: Artifacts) -> Ongoing:
        """Of this experiment in this folder, with these settings, data and code."""
        root, project = artifacts.root, artifacts.project
        facts = {
            "root": str(root.relative_to(project) if root.is_relative_to(project) else root),
            "settings": settings_of(experiment),
            "data": sha256_of(artifacts.manifest),
            "code": _code(),
        }
        return cls(artifacts.training / digest(facts), artifacts.run)

    def legs(self, experiment: Experiment) -> Legs | None:
        """Where its trainings keep how far they are; None: no checkpoints are wanted."""
        trainer = experiment.trainer
        if not (trainer.keeps_checkpoints and experiment.transfer.epochs):
            return None
        from graftwork.training.resuming.legs import Legs

        return Legs(self.folder, trainer.checkpoint_minutes, trainer.checkpoint_steps, None)

    def take_up_run(self) -> None:
        """Goes on with the MLflow run in which it was cut: DVC has removed its name."""
        if not self.run.exists() and self._run.is_file():
            self.run.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._run, self.run)

    def note_run(self) -> None:
        """Keeps the name of the MLflow run that was opened."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.run.is_file():
            shutil.copyfile(self.run, self._run)

    def forget(self) -> None:
        """It is done, or begins anew."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _run(self) -> Path:
        return self.folder / "run.json"


@cache
def _code() -> str:
    """sha256 of the code: what older code began, newer code does not go on with."""
    spec = find_spec("graftwork")
    assert spec is not None and spec.origin
    package, found = Path(spec.origin).parent, hashlib.sha256()
    for room in ROOMS:
        for path in sorted((package / room).rglob("*.py")):
            found.update(f"{path.relative_to(package)}\0".encode() + path.read_bytes())
    return found.hexdigest()
