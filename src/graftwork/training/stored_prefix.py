"""Training behind a frozen prefix whose maps are stored: decided, filled, read."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from graftwork.config.errors import UserError
from graftwork.evaluating.probabilities import network_logits
from graftwork.features.prefixes.maps import StoredMaps, TooLarge, room_error, stored_maps
from graftwork.features.prefixes.network import FrozenPrefix
from graftwork.features.prefixes.views import Views, repeated
from graftwork.models.network.splitting import Split, Unsplittable, split
from graftwork.process import distributed
from graftwork.training.datamodule import Batch, Key, TrainingData

if TYPE_CHECKING:
    import pandas as pd

    from graftwork.experiment import Experiment
    from graftwork.models.network.classifier import Classifier
    from graftwork.storage.artifacts import Artifacts
    from graftwork.training.course import TrainingRows


@dataclass(frozen=True)
class StoredPrefix:
    """A prefix that was run once for all views that training sees, and the rest of the network."""

    split: Split
    maps: StoredMaps
    views: Views

    def data(self, shown: TrainingRows, **options: Any) -> TrainingData:
        """What training reads in place of pictures; options as of `TrainingData`."""
        keys = [[view.key for view in self.views.of(shown.fit, k)] for k in range(self.views.count)]
        still = {
            split: Maps(rows, [self._still(rows)], self.maps)
            for split, rows in shown.watched.items()
        }
        return TrainingData(Maps(shown.fit, keys, self.maps), still, **options)

    def shown(self, rows: pd.DataFrame) -> torch.Tensor:
        """The maps of these rows' still views, `[len(rows), ...]`."""
        return self.maps.batch(self._still(rows))

    def reading(self, classifier: Classifier) -> AbstractContextManager[None]:
        """Within this context the classifier takes maps for pictures."""
        return classifier.resuming(self.split.rest)

    def _still(self, rows: pd.DataFrame) -> list[str]:
        return [view.key for view in self.views.still(rows)]


class Maps:
    """Rows of the manifest as batches: maps `[B, ...]` of a view of each, and int64 `[B]`.

    Args:
        keys: of each view, by number, those of all rows.
    """

    def __init__(self, frame: pd.DataFrame, keys: Sequence[list[str]], maps: StoredMaps) -> None:
        self.labels = frame["label"].to_numpy(np.int64)
        self._keys, self._maps = keys, maps

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, keys: Sequence[Key]) -> Batch:
        places = [repeated(*key, len(self), len(self._keys)) for key in keys]
        maps = self._maps.batch([self._keys[number][row] for number, row in places])
        return maps, torch.from_numpy(self.labels[[row for _, row in places]])


class Live(Exception):
    """Why a prefix is run in every epoch, in a sentence without its full stop."""


def stored_prefix(
    experiment: Experiment,
    artifacts: Artifacts,
    classifier: Classifier,
    shown: TrainingRows,
    epochs: int,
) -> StoredPrefix | None:
    """The frozen prefix of this training with the maps of all views; None: it is run live.

    Args:
        classifier: with the weights that training begins from.

    Raises:
        UserError: extraction.prefix is `stored`, and that cannot be.
    """
    wanted = experiment.extraction
    if wanted.prefix == "live" or (wanted.prefix == "auto" and wanted.views is None):
        return None
    forced = wanted.prefix == "stored"
    try:
        if not forced:
            check_worth(experiment, epochs)
        return _stored(experiment, artifacts, classifier, shown, epochs)
    except TooLarge as reason:
        if forced:
            raise room_error(reason) from None
        _say(reason)
    except Unsplittable as reason:
        _say(reason)
    except Live as reason:
        _say(reason)
    return None


def logits_of(
    experiment: Experiment,
    artifacts: Artifacts,
    classifier: Classifier,
    rows: pd.DataFrame,
    prefix: StoredPrefix | None,
) -> np.ndarray:
    """Logits `[len(rows), num_classes]`, from stored maps where the network was trained on them."""
    place = experiment, artifacts, classifier, rows
    if prefix is None:
        return network_logits(*place)
    with prefix.reading(classifier):
        return network_logits(*place, shown=prefix.shown)


def halves_of(experiment: Experiment, classifier: Classifier, epochs: int) -> Split:
    """The network before and behind what no epoch trains; leaves it frozen so.

    Raises:
        UserError: it cannot be split, and extraction.prefix is `stored`.
        Unsplittable: likewise where it is `auto`.
    """
    transfer = experiment.transfer
    ever = transfer.trainable.ever_parameters(classifier.layout(), epochs)
    classifier.train_only(ever, transfer.batch_norm)
    try:
        return split(classifier)
    except Unsplittable as reason:
        if experiment.extraction.prefix != "stored":
            raise
        raise UserError(
            f"extraction.prefix: stored, but {experiment.model.name} cannot be split: {reason}. "
            "Choose extraction.prefix=live, or freeze its first layers "
            "(transfer/trainable=from_group, transfer.batch_norm=frozen)."
        ) from reason


def check_worth(experiment: Experiment, epochs: int) -> None:
    """Raises Live where stored maps would be wrong, or no gain."""
    if why := experiment.transfer.needs_pictures:
        raise Live(why)
    count = views_of(experiment)
    if count >= epochs:
        raise Live(f"each of {count} views of a picture would be seen once in {epochs} epochs")


def views_of(experiment: Experiment) -> int:
    """How many different views of a picture training sees."""
    return 1 if experiment.augmentation.is_still else experiment.extraction.views or 1


def _stored(
    experiment: Experiment,
    artifacts: Artifacts,
    classifier: Classifier,
    shown: TrainingRows,
    epochs: int,
) -> StoredPrefix:
    halves = halves_of(experiment, classifier, epochs)
    count = views_of(experiment)
    spec = classifier.input_spec
    views = Views(experiment.augmentation, spec, experiment.seed, count)
    # A picture that an epoch shows twice has its next view there, whatever the epochs.
    needed = count if experiment.transfer.sampler.balances else min(count, epochs)
    wanted = [view for number in range(needed) for view in views.of(shown.fit, number)]
    wanted += [view for rows in shown.watched.values() for view in views.still(rows)]
    prefix = FrozenPrefix(experiment, artifacts, classifier, halves)
    maps = stored_maps(experiment, artifacts, prefix, wanted, views)
    return StoredPrefix(halves, maps, views)


def _say(reason: Exception) -> None:
    if distributed.rank() == 0:
        text = f"graftwork: the frozen layers are run in every epoch: {reason}."
        print(text, file=sys.stderr)
