"""Pictures through an engine, one batch after the other, with a progress bar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from graftwork.data.images import DecodedImages
from graftwork.features.engines.base import Engine
from graftwork.features.engines.loading import Picture, Show, batches
from graftwork.models.base import InputSpec
from graftwork.process import distributed


class _Speed(TextColumn):
    """Pictures per second."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.0f} images/s" if task.speed else "")


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
    console = Console(stderr=True)
    columns = (
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()),
        *(_Speed(), TimeRemainingColumn()),
    )
    silent = not console.is_terminal or distributed.rank() != 0
    with Progress(*columns, console=console, transient=True, disable=silent) as progress:
        task = progress.add_task(title, total=len(pictures))
        for batch in batches(pictures, images, spec, batch_size, show):
            yield from zip(batch.keys, engine(batch.images), strict=False)
            progress.advance(task, len(batch.keys))
