"""Pictures on their way to an engine: read and resized in threads while it computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graftwork.data.images import DecodedImages, eval_view
from graftwork.models.base import InputSpec
from graftwork.process.read_ahead import ahead

AHEAD = 3  # batches in memory beside the one that is computed
Show = Callable[[np.ndarray, Any], np.ndarray]  # a decoded picture as the network sees it


@dataclass(frozen=True)
class Picture:
    """A picture by content, and where its file lies."""

    sha256: str
    path: str

    @property
    def key(self) -> str:
        """Under which what an engine makes of it is kept."""
        return self.sha256


@dataclass(frozen=True)
class Batch:
    """A full-sized batch of which the first `len(keys)` rows are pictures."""

    keys: tuple[str, ...]
    images: np.ndarray  # uint8 RGB [batch_size, S, S, 3]


def batches(
    pictures: Sequence[Picture],
    images: DecodedImages,
    spec: InputSpec,
    batch_size: int,
    show: Show | None = None,
) -> Iterator[Batch]:
    """The views of the pictures, in order, in batches of one size.

    The last batch is filled up with black. At most `AHEAD` batches wait in memory, however many
    pictures there are.

    Args:
        show: from a decoded picture and its `Picture` to a view; called by several threads. None:
            what evaluation sees.
    """

    def load(start: int) -> Batch:
        return load_batch(pictures[start : start + batch_size], images, spec, batch_size, show)

    return ahead(load, range(0, len(pictures), batch_size), AHEAD, "loading")


def load_batch(
    pictures: Sequence[Picture],
    images: DecodedImages,
    spec: InputSpec,
    batch_size: int,
    show: Show | None = None,
) -> Batch:
    """One batch, loaded now."""
    views = np.zeros((batch_size, spec.size, spec.size, 3), np.uint8)
    for row, picture in enumerate(pictures):
        image = images.get(picture.sha256, picture.path)
        views[row] = eval_view(image, spec) if show is None else show(image, picture)
    return Batch(tuple(picture.key for picture in pictures), views)
