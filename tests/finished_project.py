"""A project in which a small experiment has run to its end, and copies of it to damage."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from tiny_transfer import draw_photos, save_weights, transfer_params

from graftwork.experiment import Experiment
from graftwork.features.feature_store import features_of
from graftwork.storage.artifacts import Artifacts

PHOTOS = {"train": 6, "val": 3, "test": 4}  # a class


@dataclass(frozen=True)
class Project:
    """What a process that starts now would have of it."""

    experiment: Experiment
    artifacts: Artifacts

    @classmethod
    def at(cls, root: Path) -> Project:
        artifacts = Artifacts.at(root)
        return cls(Experiment.from_file(artifacts.params), artifacts)

    def features(self) -> np.ndarray:
        from tiny_experiment import usable

        return features_of(self.experiment, self.artifacts, usable(self.artifacts))


def finish(root: Path) -> Project:
    """Runs all stages of a linear probe on tiny_cnn, on OpenVINO, in fp32."""
    from pipelines import download, evaluate, extract_features, finetune, prepare
    from pipelines.stage import measured

    photos, weights = draw_photos(root / "photos", PHOTOS), root / "weights.pth"
    save_weights(weights)
    params: dict[str, Any] = transfer_params(
        photos,
        weights,
        "transfer=linear_probe",
        "extraction.engine=openvino",
        "selection=matched",
        "tracking.log_model=true",
    )
    project = root / "project"
    project.mkdir()
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    made = Project.at(project)
    for stage in (download, prepare, extract_features, finetune, evaluate):
        measured(stage.run, made.experiment, made.artifacts)
    return made


def truncated(path: Path) -> None:
    """The first half of it."""
    content = path.read_bytes()
    replace(path, content[: len(content) // 2])


def flipped(path: Path, share: float = 0.5) -> None:
    """With one bit changed, so far into it; neither size nor time of change tell."""
    content = bytearray(path.read_bytes())
    content[int(len(content) * share)] ^= 1
    replace(path, bytes(content))


def deleted(path: Path) -> None:
    path.unlink()


DAMAGES: dict[str, Callable[[Path], None]] = {
    "truncated": truncated,
    "flipped": flipped,
    "deleted": deleted,
}


def replace(path: Path, content: bytes) -> None:
    """Never through a link that others share."""
    stamp = path.stat().st_mtime_ns
    path.unlink()
    path.write_bytes(content)
    os.utime(path, ns=(stamp, stamp))


def copied(project: Project, root: Path, *without: str) -> Project:
    ignored = shutil.ignore_patterns(*without)
    shutil.copytree(project.artifacts.root, root, symlinks=True, ignore=ignored)
    return Project.at(root)
