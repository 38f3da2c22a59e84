"""What else can be said of one photo: where its answer lies, what is like it, how often that is
right. What is lacking for one of them is said instead."""

from __future__ import annotations

from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from graftwork.config.errors import UserError
from graftwork.inspecting.alike import Alike, training_of
from graftwork.metrics.calibration import bin_of
from graftwork.model_folder import contents as model_folder
from graftwork.model_folder.contents import Contract
from graftwork.serving.places import project_of
from graftwork.serving.views import view_of
from graftwork.storage.artifacts import Artifacts

BINS = 10  # of probabilities, each as wide as the others


class Explainer:
    """Of a model folder; networks are built when they are first needed. Not for several threads.

    Args:
        folder: of the model.
        contract: that it is explained by: the folder may have got another since.
        kept: where converted networks lie.
        shows_training: whether who asks may see training photos.
    """

    def __init__(
        self, folder: Path, contract: Contract, kept: Path, *, shows_training: bool
    ) -> None:
        self._folder, self._contract, self._kept = folder, contract, kept
        project = project_of(folder)
        self._run = Artifacts.at(folder.absolute().parent, shared=project.root if project else None)
        self._shows_training = shows_training

    def __call__(self, content: bytes, chances: np.ndarray) -> dict[str, Any]:
        """Keys `heat` (a picture in a data URI), `alike` and `tested`; `lacking`: sentences.

        Args:
            content: an encoded photo that can be read.
            chances: what the model said of it, `[num_classes]`.
        """
        view = view_of(content, self._contract)
        lacking: list[str] = []
        return {
            "heat": self._heat(view, int(chances.argmax()), lacking),
            "alike": self._nearest(view, lacking),
            "tested": self._tested(float(chances.max())),
            "lacking": lacking,
        }

    def _heat(self, view: np.ndarray, label: int, lacking: list[str]) -> str | None:
        if find_spec("pytorch_grad_cam") is None:
            lacking.append("Where the network looked: needs the extra graftwork[inspect].")
            return None
        import torch

        from graftwork.inspecting.grad_cam import grad_cam
        from graftwork.inspecting.tiles import greyed, heated, png

        try:
            classifier, target = self._network
        except UserError as error:
            lacking.append(f"Where the network looked: {error}")
            return None
        images = classifier.normalise(torch.from_numpy(view[None]))
        (heat,) = grad_cam(classifier, target, images, [label])
        shown = greyed(view) if self._contract.input_spec.channels == 1 else view
        return png(heated(shown, heat))

    @cached_property
    def _network(self) -> Any:
        """The classifier in torch, and the layer group whose maps are weighed."""
        from graftwork.inspecting.grad_cam import last_that_matters
        from graftwork.models.network.group_outputs import blank, group_outputs

        classifier, found = model_folder.load(self._folder)
        if found.weights_sha256 != self._contract.weights_sha256:
            raise UserError("the model has been replaced meanwhile.")
        outputs = group_outputs(classifier)
        if not outputs:
            raise UserError("no layer group of this network has positions.")
        return classifier, last_that_matters(classifier, outputs, blank(classifier))

    def _nearest(self, view: np.ndarray, lacking: list[str]) -> list[dict[str, Any]]:
        try:
            return list(self._alike.nearest(view))
        except UserError as error:
            lacking.append(f"Training photos like it: {error}")
            return []

    @cached_property
    def _alike(self) -> Alike:
        if not self._shows_training:
            raise UserError("are shown to this machine alone.")
        training = training_of(self._run, self._contract)
        if training is None:
            raise UserError("the run that the model came from is not at hand.")
        return Alike(self._folder, self._kept, training, self._contract)

    def _tested(self, probability: float) -> dict[str, Any] | None:
        """How many test photos had such a probability, and how many of them were right."""
        if self._reliability is None:
            return None
        at = min(int(bin_of(np.array([probability]), BINS)[0]), BINS - 1)
        count, right = (int(row[at]) for row in self._reliability)
        return {"low": at / BINS, "high": (at + 1) / BINS, "photos": count, "right": right}

    @cached_property
    def _reliability(self) -> np.ndarray | None:
        """Test photos and right answers by bin, `[2, BINS]`; None: nothing was recorded of it."""
        predictions, contract = self._run.predictions, self._folder / model_folder.CONTRACT
        if not predictions.is_file() or predictions.stat().st_mtime < contract.stat().st_mtime:
            return None
        import pandas as pd

        columns = ["class", "predicted", "probability"]
        try:
            frame = pd.read_parquet(predictions, columns=columns)
        except (OSError, ValueError, KeyError):  # ArrowInvalid is a ValueError
            return None
        if not set(frame["predicted"]) <= set(self._contract.classes):
            return None  # of another model
        bins = np.minimum(bin_of(frame["probability"].to_numpy(), BINS), BINS - 1)
        right = (frame["class"] == frame["predicted"]).to_numpy()
        return np.stack([np.bincount(bins[kept], minlength=BINS) for kept in (right | True, right)])
