"""What a training has at hand for penalties."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from graftwork.data.images import DecodedImages
from graftwork.features.engines.keys import digest, network_key
from graftwork.features.engines.loading import Picture, batches
from graftwork.models.base import WeightsFile
from graftwork.models.precision import chosen
from graftwork.process.installed import releases
from graftwork.storage.array_store import ArrayStore

if TYPE_CHECKING:
    import pandas as pd

    from graftwork.experiment import Experiment
    from graftwork.models.base import InputSpec
    from graftwork.models.network.classifier import Classifier
    from graftwork.storage.artifacts import Artifacts


@dataclass(frozen=True)
class TrainingAtHand:
    """See graftwork.transfer.at_hand.AtHand.

    Attributes:
        spec: what the network that is trained wants to see.
        fit: rows of the manifest that are fitted.
    """

    experiment: Experiment
    artifacts: Artifacts
    spec: InputSpec
    fit: pd.DataFrame

    @property
    def classes(self) -> list[str]:
        found: list[str] = json.loads(self.artifacts.classes.read_text())
        return found

    @property
    def batch_size(self) -> int:
        return self.experiment.extraction.batch_size

    @property
    def views_come_again(self) -> bool:
        return self.experiment.augmentation.is_still

    def source(self) -> tuple[Classifier, str]:
        key = network_key(self.experiment, self.artifacts)
        return pretrained_whole(self.experiment, self.artifacts), key

    def answers(self, facts: Mapping[str, Any]) -> ArrayStore:
        precision = chosen("auto", torch.cuda.is_available())
        known = {"precision": precision, "batch_size": self.batch_size, "layout": 1}
        key = digest({**facts, **known, "releases": releases("torch", "timm")})
        return ArrayStore(self.artifacts.answers / key, "float32")

    def pictures(self, count: int | None) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        rows = self.fit
        if count is not None and count < len(rows):
            rows = rows.iloc[np.linspace(0, len(rows) - 1, count).round().astype(int)]
        pairs = zip(rows["sha256"], rows["path"], strict=True)
        images = DecodedImages(self.artifacts, self.experiment.dataset)
        wanted = [Picture(sha256, path) for sha256, path in pairs]
        labels = torch.tensor(rows["label"].to_numpy(np.int64))
        size, done = self.batch_size, 0
        for batch in batches(wanted, images, self.spec, size):
            shown = len(batch.keys)
            yield torch.from_numpy(batch.images[:shown]), labels[done : done + shown]
            done += shown


def pretrained_whole(experiment: Experiment, artifacts: Artifacts) -> Classifier:
    """See `AtHand.source`; torch's own generator is left as it was."""
    model, start = experiment.model, experiment.transfer.start
    folder = artifacts.weights(model.name)
    receipt = start.receipt(model, folder)
    assert receipt is not None and model.weights is not None, "checked by the strategy"
    file = WeightsFile(folder / receipt["file"], model.weights.key_map, "model.weights")
    with torch.random.fork_rng(devices=[]):
        return model.pretrained_whole(file)
