"""Training pictures by the code of training: what a run's network sees of them, epoch by epoch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from graftwork.config.errors import check_range
from graftwork.data import manifest

if TYPE_CHECKING:
    import pandas as pd

    from graftwork.augmentations.base import Step
    from graftwork.experiment import Experiment
    from graftwork.models.base import InputSpec
    from graftwork.storage.artifacts import Artifacts
    from graftwork.training.source import Source


@dataclass(frozen=True)
class Shown:
    """How much is shown."""

    count: int  # photos of each class
    classes: int
    epochs: int

    def __post_init__(self) -> None:
        check_range("--count", self.count, 1, 100)
        check_range("--classes", self.classes, 1)
        check_range("--epochs", self.epochs, 1, 100)


@dataclass(frozen=True)
class PhotoRow:
    """A training photo and what becomes of it."""

    label: int
    name: str  # of the file
    index: int  # among the pictures that are fitted: what its draws follow from
    original: np.ndarray  # uint8 RGB [size, size, 3]: what evaluation sees
    draws: list[np.ndarray]  # likewise, one an epoch


@dataclass(frozen=True)
class Seen:
    """What there is to see."""

    rows: list[PhotoRow]
    steps: list[Step]  # of the augmentation
    spec: InputSpec
    epochs: int  # shown
    fitted: int  # pictures of the first training


def prepared(experiment: Experiment, artifacts: Artifacts) -> None:
    """Data and weights, as the stages download and prepare bring them; what is there stays."""
    from graftwork.data.preparing.preparation import prepare
    from graftwork.models.pretrained import RUNS, bring_weights

    dataset, model, start = experiment.dataset, experiment.model, experiment.transfer.start
    weights = artifacts.weights(model.name)
    if start.recorded:
        from graftwork.recording.recorded_models import bring_model

        bring_model(start.recorded, experiment.tracking, artifacts, weights / RUNS / start.recorded)
    dataset.download(artifacts.raw(dataset.name), artifacts.downloads)
    bring_weights(model, weights, artifacts.downloads, wanted=start.is_registry)
    prepare(dataset, artifacts)


def preview(experiment: Experiment, artifacts: Artifacts, shown: Shown, target: Path) -> Path:
    """Writes the page.

    Args:
        artifacts: prepared.
        target: the page's place.
    """
    from graftwork.inspecting import preview_page

    classes = manifest.read_classes(artifacts.classes)
    seen = look(experiment, artifacts, shown, len(classes))
    preview_page.write(target, seen, experiment, classes)
    return target


def look(experiment: Experiment, artifacts: Artifacts, shown: Shown, num_classes: int) -> Seen:
    """The pictures that the first training sees, drawn by its own data module."""
    from graftwork.features.engines import backbone
    from graftwork.training.course import TrainingRows
    from graftwork.training.pictures import pictures_of

    source = _source(experiment, artifacts, num_classes)
    fit = _fitted(source)
    spec = backbone.build(experiment, artifacts).input_spec
    data = pictures_of(experiment, artifacts, spec, TrainingRows(fit, {"val": fit}))
    drawn, still = (
        loader.dataset for loader in (data.train_dataloader(), data.val_dataloader()[0])
    )
    epochs = min(shown.epochs, experiment.transfer.epochs or shown.epochs)
    rows = []
    for index in _chosen(fit, shown):
        original, draws = still[[(0, index)]][0], drawn[[(e, index) for e in range(epochs)]][0]
        row = fit.iloc[index]
        name = Path(row["path"]).name
        pictures = list(draws.numpy())
        rows.append(PhotoRow(int(row["label"]), name, index, original[0].numpy(), pictures))
    augment = experiment.augmentation.build(spec, experiment.seed)
    return Seen(rows, augment.steps(), spec, epochs, len(fit))


def _source(experiment: Experiment, artifacts: Artifacts, num_classes: int) -> Source:
    """As the stage finetune makes it."""
    from graftwork.features.feature_store import features_of
    from graftwork.selecting.held_out import held_out
    from graftwork.selecting.stored_match import stored
    from graftwork.training.transferring import source_of

    frame = manifest.read(artifacts.manifest)
    chooses = held_out(
        experiment,
        frame,
        num_classes,
        lambda rows: features_of(experiment, artifacts, rows),
        stored(artifacts.folds),
    )
    return source_of(experiment, artifacts, chooses, num_classes)


def _fitted(source: Source) -> pd.DataFrame:
    from graftwork.training.networks import first_fitted

    return source.held_out.rows[first_fitted(source)].reset_index(drop=True)


def _chosen(fit: pd.DataFrame, shown: Shown) -> list[int]:
    """Positions of the first photos of each class, class by class."""
    first = fit[fit.groupby("label").cumcount() < shown.count]
    first = first[first["label"] < shown.classes]
    return first.sort_values("label", kind="stable").index.tolist()
