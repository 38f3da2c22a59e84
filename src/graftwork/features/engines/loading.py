"""Pictures on their way to an engine: read and resized in threads while it computes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from graftwork.data.images import DecodedImages, eval_view
from graftwork.models.base import InputSpec
from graftwork.process.read_ahead import ahead

AHEAD = 3  # batches in memory beside the one that is computed


@dataclass(frozen=True)
class Picture:
    """A picture by content, and where its file lies."""

    sha256: str
    path: str


@dataclass(frozen=True)
class Batch:
    """A full-sized batch of which the first `len(keys)` rows are pictures."""

    keys: tuple[str, ...]
    images: np.ndarray  # uint8 RGB [batch_size, S, S, 3]


def batches(
    pictures: Sequence[Picture], images: DecodedImages, spec: InputSpec, batch_size: int
) -> Iterator[Batch]:
    """The evaluation views of the pictures, in order, in batches of one size.

    The last batch is filled up with black. At most `AHEAD` batches wait in memory, however many
    pictures there are.
    """

    def load(start: int) -> Batch:
        return load_batch(pictures[start : start + batch_size], images, spec, batch_size)

    return ahead(load, range(0, len(pictures), batch_size), AHEAD, "loading")


def load_batch(
    pictures: Sequence[Picture], images: DecodedImages, spec: InputSpec, batch_size: int
) -> Batch:
    """One batch, loaded now."""
    views = np.zeros((batch_size, spec.size, spec.size, 3), np.uint8)
    for row, picture in enumerate(pictures):
        views[row] = eval_view(images.get(picture.sha256, picture.path), spec)
    return Batch(tuple(picture.sha256 for picture in pictures), views)
