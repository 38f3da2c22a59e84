"""Pictures through an engine, one batch after the other, with a progress bar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from graftwork.data.images import DecodedImages
from graftwork.features.engines.base import Engine
from graftwork.features.engines.loading import Picture, Show, batches
from graftwork.models.base import InputSpec
from graftwork.process import distributed
from graftwork.process.progress import speed_bar


def stream(
    engine: Engine,
    pictures: Sequence[Picture],
    images: DecodedImages,
    spec: InputSpec,
    batch_size: int,
    show: Show | None = None,
    title: str = "Extracting features",
) -> Iterator[tuple[str, np.ndarray]]:
    """Each picture's key and what the engine makes of it, in order.

    Memory holds a few batches, whatever the number of pictures.

    Args:
        show: as of `batches`.
        title: of the progress bar.
    """
    done = 0
    with speed_bar(title, len(pictures), distributed.rank() == 0) as seen:
        for batch in batches(pictures, images, spec, batch_size, show):
            yield from zip(batch.keys, engine(batch.images), strict=False)
            done += len(batch.keys)
            seen(done)
