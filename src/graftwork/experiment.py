"""Experiment: the typed root. Behind it there is no DictConfig."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from graftwork.augmentations.base import Augmentation
from graftwork.augmentations.fixed_views import fixed_views
from graftwork.config.components import Component, build, placed
from graftwork.config.errors import UserError, check_range
from graftwork.config.plain_values import check_no_environment, check_size
from graftwork.config.yaml_text import from_yaml
from graftwork.data.datasets import unlabelled
from graftwork.data.datasets.base import Dataset
from graftwork.models.base import Model
from graftwork.settings.evaluation import Evaluation
from graftwork.settings.extraction import Extraction
from graftwork.settings.selection import Selection
from graftwork.settings.tracking import Tracking
from graftwork.settings.trainer import Trainer
from graftwork.transfer.strategy import Transfer


@dataclass(frozen=True)
class Experiment(Component):
    """One composed configuration, checked."""

    seed: int
    dataset: Dataset
    model: Model
    extraction: Extraction
    augmentation: Augmentation
    transfer: Transfer
    selection: Selection
    trainer: Trainer
    evaluation: Evaluation
    tracking: Tracking

    def __post_init__(self) -> None:
        """Checks across fields."""
        check_range("seed", self.seed, 0, 2**32 - 1)
        if self.transfer.start.is_registry and self.model.weights is None:
            raise UserError(
                f"model.weights: {self.model.name} has no pretrained weights, which "
                f"transfer={self.transfer.name} needs. Choose transfer=from_scratch, or a model "
                "with weights (`graftwork models`)."
            )
        if self.transfer.schedule.needs_validation and self.selection.method == "none":
            raise UserError(
                "transfer.schedule: follows what held-out pictures say, and selection=none holds "
                "none out. Choose transfer/schedule=step, or another selection."
            )
        self._check_head()
        self._check_source_head()

        if self.transfer.trainable.needs_validation and self.selection.method == "none":
            raise UserError(
                "selection: none holds nothing out, but what transfer.trainable unfreezes is "
                "decided by held-out pictures. Choose selection=auto (or another method), or "
                "transfer/trainable=gradual."
            )
        most = len(fixed_views(self.augmentation.mirrors))
        if self.evaluation.views > most:
            mirrors = ", ".join(self.augmentation.mirrors) or "in no way"
            raise UserError(
                f"evaluation.views: {self.evaluation.views} is out of bounds. Legal: 1 to {most}, "
                f"since augmentation={self.augmentation.name} mirrors {mirrors}; each way to "
                "mirror doubles them."
            )
        if self.trainer.compile == "on" and self.transfer.epochs and self.transfer.not_compiled:
            raise UserError(
                f"trainer.compile: on, but {self.transfer.not_compiled}, which a compiled network "
                "would not follow. Choose trainer.compile=off, or a strategy without it."
            )
        if self.extraction.prefix == "stored" and self.transfer.epochs:
            self._check_stored_prefix()
        if self.trainer.sharded and self.transfer.epochs:
            self._check_sharded()

    def _check_stored_prefix(self) -> None:
        """What stored maps cannot give."""
        live = "or extraction.prefix=live"
        if self.extraction.views is None and not self.augmentation.is_still:
            raise UserError(
                f"extraction.prefix: stored, but augmentation={self.augmentation.name} draws a new "
                "view of each picture in every epoch. Legal: a number of views that return "
                f"(extraction.views=8), augmentation=none, {live}."
            )
        if why := self.transfer.needs_pictures:
            raise UserError(
                f"extraction.prefix: stored, but {why}. Choose a strategy without it, {live}."
            )

    def _check_sharded(self) -> None:
        """What looks at whole weights while they are trained in parts."""
        transfer = self.transfer
        added = [name for name, penalty in transfer.penalties.items() if not penalty.is_none]
        stored = self.extraction.prefix == "stored" or self.extraction.views is not None
        for wrong, what, legal in (
            (
                transfer.average.gathering(True, True),
                "transfer.average gathers",
                "transfer/average=last",
            ),
            (added, f"transfer.penalties.{''.join(added[:1])} compares", "a strategy without"),
            (not transfer.adapter.is_none, "transfer.adapter changes", "transfer/adapter=none"),
            (stored, "a stored prefix splits", "extraction.prefix=live extraction.views=null"),
        ):
            if wrong:
                raise UserError(
                    f"trainer.sharded: true, but {what} whole weights while they are trained in "
                    f"parts. Choose {legal}, or trainer=ddp."
                )

    def _check_head(self) -> None:
        """A head that is fitted on stored features brings its own kind; others are trained."""
        transfer, head = self.transfer, self.model.head
        kind = type(head).__name__.lower()
        fitted = {"mlp": "mlp_probe", "cosine": "cosine_probe"}.get(kind, "linear_probe")
        if transfer.head_init.needs_features and not head.is_linear:
            raise UserError(
                f"model.head: transfer={transfer.name} fits a head of its own kind on stored "
                f"features, so model/head={kind} would not be used. Choose model/head=linear, or "
                f"for a head of that kind transfer={fitted} without model/head, or "
                "transfer=fine_tune."
            )
        if not transfer.epochs or transfer.head_init.needs_features:
            return
        if not head.learns:
            raise UserError(
                f"model.head: {kind} has nothing that steps could train. Choose transfer=knn, "
                "which fits it on stored features."
            )
        pooled = not (head.is_linear or head.reads_maps)
        if pooled and transfer.trains_only_the_head:
            raise UserError(
                f"transfer.trainable: the head alone is trained, on a backbone that never changes "
                f"and would run in every epoch all the same. Choose transfer={fitted} without "
                f"model/head, which trains it on stored features; with augmented photos, "
                f"transfer={fitted} transfer.epochs={transfer.epochs} goes on from there."
            )

    def _check_source_head(self) -> None:
        """The classifier of the source task reads the features of the whole network."""
        if not self.transfer.epochs or not (self.model.cut_after or self.model.head.reads_maps):
            return
        for name, penalty in self.transfer.penalties.items():
            if penalty.needs_source_head:
                raise UserError(
                    f"transfer.penalties.{name}: asks the classifier that the backbone was "
                    "pretrained with, which reads all of the network; this one ends early. Choose "
                    "model.cut_after=null and model/head=linear, or leave it out "
                    f"(transfer.penalties.{name}=null)."
                )

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Experiment:
        """The experiment that a composed configuration describes.

        Raises:
            UserError: for anything in it that is wrong.
        """
        check_size(params)
        check_no_environment(params)
        experiment = build(params, cls, "")
        try:
            experiment.dataset.check()
            unlabelled.check(experiment.dataset)
        except UserError as error:
            raise UserError(placed(str(error), "dataset")) from error
        experiment.transfer.start.check(experiment.model)
        for name, penalty in experiment.transfer.penalties.items():
            penalty.check(f"transfer.penalties.{name}")
        return experiment

    @classmethod
    def from_file(cls, path: Path) -> Experiment:
        """The experiment of a params.yaml."""
        if not path.is_file():
            raise UserError(f"{path}: no such file. Write it with `make params`.")
        try:
            params = from_yaml(path.read_text("utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: not valid YAML: {error}") from error
        return cls.from_params(params)
