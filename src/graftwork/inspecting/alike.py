"""The training photos that a model finds most like a photo, by the features of its own backbone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from graftwork.data.images import DecodedImages
from graftwork.experiment import Experiment
from graftwork.features.engines.choosing import Request
from graftwork.features.engines.loading import Picture, load_batch
from graftwork.features.engines.running import Ready
from graftwork.features.engines.trained import TrainedBackbone
from graftwork.model_folder import contents as model_folder
from graftwork.model_folder.contents import Contract
from graftwork.models.heads import unit
from graftwork.reporting.report import thumbnail
from graftwork.storage.artifacts import Artifacts

MOST = 5000  # training photos that are compared, evenly chosen of more: half a minute on two cores
SHOWN = 4
SIDE = 148  # px


@dataclass(frozen=True)
class Training:
    """The photos that a model was trained on, where they are at hand."""

    experiment: Experiment
    pictures: list[Picture]
    classes: list[str]  # of each
    images: DecodedImages


def training_of(run: Artifacts, contract: Contract) -> Training | None:
    """Those that the run's manifest lists, if it is the manifest of this model's data."""
    from graftwork.data import manifest

    if not (run.manifest.is_file() and run.params.is_file()):
        return None
    frame = manifest.read(run.manifest)
    if manifest.digest(frame) != contract.data_digest:
        return None
    experiment = Experiment.from_file(run.params)
    frame = manifest.of_split(frame, "train")
    frame = frame.iloc[np.linspace(0, len(frame) - 1, min(len(frame), MOST)).astype(int)]
    pictures = [Picture(*pair) for pair in zip(frame["sha256"], frame["path"], strict=True)]
    images = DecodedImages(run, experiment.dataset)
    return Training(experiment, pictures, list(frame["class"]), images)


class Alike:
    """Compares a view with all of them; they are run through the backbone when it is made."""

    def __init__(self, folder: Path, kept: Path, training: Training, contract: Contract) -> None:
        wanted = training.experiment.extraction
        self._training, self._size = training, wanted.batch_size
        request = Request.of(training.experiment)
        model = model_folder.model_of(folder, contract)
        accelerator = training.experiment.trainer.accelerator
        network = TrainedBackbone(folder, kept, request, model.version, accelerator)
        verdict = network.verdict_of(training.pictures, training.images)
        self._ready = Ready(network, verdict)
        starts = range(0, len(training.pictures), self._size)

        def load(start: int) -> Any:
            some = training.pictures[start : start + self._size]
            return load_batch(some, training.images, contract.input_spec, self._size)

        self._bank = unit(np.concatenate([rows for _, rows in self._ready.over(starts, load)]))

    def nearest(self, view: np.ndarray) -> Iterator[dict[str, Any]]:
        """The `SHOWN` nearest, the first first: class, cosine and picture of each.

        Args:
            view: uint8 RGB `[S, S, 3]`.
        """
        images = np.zeros((self._size, *view.shape), np.uint8)
        images[0] = view
        cosines = self._bank @ unit(self._ready.engine(images)[:1])[0]
        for at in np.argsort(-cosines, kind="stable")[:SHOWN]:
            picture = self._training.pictures[at]
            pixels = self._training.images.get(picture.sha256, picture.path)
            yield {
                "name": self._training.classes[at],
                "cosine": float(cosines[at]),
                "picture": thumbnail(pixels, SIDE),
            }
