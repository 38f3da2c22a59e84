"""Views of pictures: augmented ones by number, and the still one that evaluation sees."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graftwork.augmentations.base import Augment, Augmentation
from graftwork.config.component_params import params_of
from graftwork.data.images import eval_view
from graftwork.features.engines.keys import digest
from graftwork.features.engines.loading import Picture
from graftwork.models.base import InputSpec
from graftwork.process.installed import releases

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class View(Picture):
    """One look at a picture.

    Attributes:
        drawn: (epoch, index) from which augmentation draws it; None: as evaluation sees it.
        policy: key of the augmentation; empty without one.
    """

    drawn: tuple[int, int] | None
    policy: str

    @property
    def key(self) -> str:
        if self.drawn is None:
            return self.sha256
        return digest([self.sha256, self.policy, *self.drawn])


def repeated(epoch: int, index: int, rows: int, count: int) -> tuple[int, int]:
    """Number and row of the view that training sees, where each picture has `count` of them.

    Epoch e shows view e mod K; a picture that an epoch shows again has the next one there.

    Args:
        index: of a training picture, as the order of training gives it: n further on for each time
            that its row came before in this epoch.
        rows: n, how many there are.
    """
    return (epoch + index // rows) % count, index % rows


class Views:
    """The views of an experiment, and how each is drawn; threads may share one.

    Args:
        count: of every training picture; 1 where augmentation changes nothing.
        seed: of the augmentation.
    """

    def __init__(self, augmentation: Augmentation, spec: InputSpec, seed: int, count: int) -> None:
        self.count = count
        self._augmentation, self._spec, self._seed = augmentation, spec, seed
        self._policy = digest([params_of(augmentation), seed, releases("albumentations")])
        self._own = threading.local()

    def still(self, frame: pd.DataFrame) -> Iterator[View]:
        """Of each row of the manifest the view that evaluation sees."""
        for sha256, path in zip(frame["sha256"], frame["path"], strict=True):
            yield View(sha256, path, None, "")

    def of(self, frame: pd.DataFrame, number: int) -> Iterator[View]:
        """Of each row the view of this number: what training would see of it in that epoch."""
        if self._augmentation.is_still:
            yield from self.still(frame)
            return
        pairs = zip(frame["sha256"], frame["path"], strict=True)
        for row, (sha256, path) in enumerate(pairs):
            yield View(sha256, path, (number, row), self._policy)

    def __call__(self, image: np.ndarray, view: View) -> np.ndarray:
        """uint8 `[H, W, 3]` to uint8 `[S, S, 3]`."""
        if view.drawn is None:
            return eval_view(image, self._spec)
        return self._augment()(image, *view.drawn)

    def _augment(self) -> Augment:
        """A pipeline holds the state of its generator: each thread has one of its own."""
        found: Augment | None = getattr(self._own, "augment", None)
        if found is None:
            found = self._own.augment = self._augmentation.build(self._spec, self._seed)
        return found
