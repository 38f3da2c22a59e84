"""Prediction from a model folder, and nothing but the folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from graftwork.data.images import UnreadableImage
from graftwork.model_folder import contents as model_folder
from graftwork.serving.views import view_of

BATCH = 32  # pictures at a time


class Predictor:
    """Class probabilities of encoded pictures, in torch float32.

    Attributes:
        classes: names, in the order of the probabilities.
    """

    def __init__(self, folder: Path | str) -> None:
        self._classifier, self._contract = model_folder.load(Path(folder))
        self._classifier.eval()
        self.classes = list(self._contract.classes)

    def probabilities(self, images: Sequence[bytes]) -> np.ndarray:
        """Encoded pictures (JPEG, PNG, ...) to float32 `[n, num_classes]`; rows sum to 1.

        Raises:
            graftwork.data.images.UnreadableImage: one of them is no picture; says which.
        """
        rows = [
            self._batch(images[start : start + BATCH], start)
            for start in range(0, len(images), BATCH)
        ]
        return np.concatenate([np.zeros((0, len(self.classes)), np.float32), *rows])

    def _batch(self, images: Sequence[bytes], first: int) -> np.ndarray:
        views = np.stack([self._view(data, first + row) for row, data in enumerate(images)])
        with torch.inference_mode():
            logits = self._classifier(self._classifier.normalise(torch.from_numpy(views)))
            return logits.double().softmax(dim=1).float().numpy()

    def _view(self, data: bytes, index: int) -> np.ndarray:
        try:
            return view_of(data, self._contract)
        except UnreadableImage as error:
            raise UnreadableImage(f"picture {index}: {error}") from error
