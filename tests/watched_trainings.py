"""A strategy run on prepared data, and every training of it written down."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from graftwork.data import manifest
from graftwork.experiment import Experiment
from graftwork.features.feature_store import features_of
from graftwork.models.network.classifier import Classifier
from graftwork.selecting.held_out import held_out
from graftwork.selecting.record import GoneBack
from graftwork.storage.artifacts import Artifacts
from graftwork.training import attempt
from graftwork.training.course import Course, TrainingRows
from graftwork.training.fitting import train
from graftwork.training.history import History
from graftwork.training.source import Finetuned
from graftwork.training.trained import Trained
from graftwork.training.transferring import finetune
from graftwork.transfer.parts import Moment


@dataclasses.dataclass
class Call:
    """One training: what it was given and what it gave."""

    fit: set[str]  # sha256
    watched: dict[str, set[str]]
    enough: bool
    epochs: int | None
    steps: int | None
    factor: float
    network: Classifier  # as training left it
    trained: Trained


class WatchedTrainings:
    """Runs the strategy with changed settings, and writes down every training."""

    def __init__(self, prepared: tuple[Experiment, Artifacts], patch: pytest.MonkeyPatch) -> None:
        self.calls: list[Call] = []
        self.experiment, self.artifacts = prepared
        self._real: Any = train
        patch.setattr(attempt, "train", self._train)

    def _train(
        self, experiment: Experiment, artifacts: Artifacts, network: Classifier,
        shown: TrainingRows, num_classes: int, history: History, course: Course, legs: Any,
    ) -> Trained:  # fmt: skip
        found: Trained = self._real(
            experiment, artifacts, network, shown, num_classes, history, course, legs
        )
        seen = {split: set(rows["sha256"]) for split, rows in shown.watched.items()}
        enough = shown.can_choose(experiment.selection.min_val)
        call = Call(
            set(shown.fit["sha256"]), seen, enough, course.epochs, course.steps, course.factor,
            copy.deepcopy(network), found,
        )  # fmt: skip
        self.calls.append(call)
        return found

    def without_training(self, everything: int, *destroyed: GoneBack) -> None:
        """Trainings are pretended; one on so many pictures ends in these attempts."""

        def pretend(*given: Any) -> Trained:
            network, fit = given[2], given[3].fit
            start = {name: tensor.clone() for name, tensor in network.state_dict().items()}
            back = list(destroyed) if len(fit) == everything else []
            ended = Moment.of_epoch(0, 1)
            return Trained(
                1, "", 5, 0, 0, start, None, back, 1.0, ended, (), None, came_back=not back
            )  # fmt: skip

        self._real = pretend

    def run(self, **changes: Mapping[str, Any]) -> Finetuned:
        """With these fields of these parts of the experiment."""
        parts = {
            name: dataclasses.replace(getattr(self.experiment, name), **fields)
            for name, fields in changes.items()
        }
        experiment = dataclasses.replace(self.experiment, **parts)
        frame = manifest.read(self.artifacts.manifest)

        def features(rows: pd.DataFrame) -> np.ndarray:
            return features_of(experiment, self.artifacts, rows)

        chooses = held_out(experiment, frame, 3, features)
        return finetune(experiment, self.artifacts, chooses, None, 3, lambda row, epoch: None)
