"""Maps at the boundary of a frozen prefix: run once, kept on disk, read batch by batch."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from graftwork.config.errors import UserError
from graftwork.data.images import DecodedImages
from graftwork.features.engines.keys import feature_key
from graftwork.features.engines.streaming import stream
from graftwork.features.prefixes.network import FrozenPrefix
from graftwork.features.prefixes.views import View, Views
from graftwork.process import distributed
from graftwork.storage.array_store import ArrayStore
from graftwork.storage.artifacts import Artifacts

if TYPE_CHECKING:
    from graftwork.experiment import Experiment
    from graftwork.features.engines.base import Engine
    from graftwork.models.network.splitting import Split

GB = 1e9  # bytes
KEPT_FREE = 1.0  # GB of the disk that maps never take


class TooLarge(Exception):
    """Why the maps are not stored, in a sentence without its full stop."""


class StoredMaps:
    """The maps of views, in the precision of the engine that gave them.

    A map `[C, H, W]` that lies channels last in memory does so on disk: a batch is read as the
    next layer wants it.
    """

    def __init__(self, folder: Path, split: Split, precision: str) -> None:
        self._split, self._half = split, precision == "bf16"
        # NumPy has no bfloat16: its sixteen bits are kept.
        self.store = ArrayStore(folder, "int16" if self._half else "float32")

    @property
    def bytes_each(self) -> int:
        return math.prod(self._split.shape) * self.store.dtype.itemsize

    def encoded(self, maps: np.ndarray) -> np.ndarray:
        """float32 `[B, *shape]` as it is stored."""
        if self._split.channels_last:
            maps = np.moveaxis(maps, 1, -1)
        values = np.ascontiguousarray(maps)
        if not self._half:
            return values
        return torch.from_numpy(values).to(torch.bfloat16).view(torch.int16).numpy()

    def batch(self, keys: Sequence[str]) -> torch.Tensor:
        """`[len(keys), *shape]`, bfloat16 or float32. Raises KeyError for one that is not here."""
        rows = torch.from_numpy(self.store.rows(keys))
        maps = rows.view(torch.bfloat16) if self._half else rows
        return maps.movedim(-1, 1) if self._split.channels_last else maps


def stored_maps(
    experiment: Experiment,
    artifacts: Artifacts,
    prefix: FrozenPrefix,
    wanted: Sequence[View],
    views: Views,
) -> StoredMaps:
    """The maps of all these views; those that the store lacks, or holds damaged, are run first.

    Raises:
        TooLarge: they would take more of the disk than `extraction.max_gb`, or than it has.
    """
    verdict = prefix.verdict_of(wanted, DecodedImages(artifacts, experiment.dataset))
    key = feature_key(prefix.key, verdict.engine, verdict.precision, experiment)
    network, _, _ = prefix.key.partition("-")
    maps = StoredMaps(artifacts.prefixes / f"{network}-{key}", prefix.split, verdict.precision)
    by_key = {view.key: view for view in wanted}
    if not maps.store.missing(by_key, read=True):  # now: loaders could not run them again
        return maps
    with maps.store.writing():  # another process may have run them while this one waited
        todo = [by_key[key] for key in maps.store.missing(by_key)]
        _check_room(experiment, artifacts, maps, len(by_key), len(todo), prefix.split)
        if todo:
            engine = prefix.engine(verdict.engine, verdict.precision)
            maps.store.append(_run(experiment, artifacts, prefix, engine, maps, todo, views))
    return maps


def _check_room(
    experiment: Experiment,
    artifacts: Artifacts,
    maps: StoredMaps,
    count: int,
    todo: int,
    split: Split,
) -> None:
    """Says what the maps will take, before anything is run for them."""
    most, all_of_them = experiment.extraction.max_gb, count * maps.bytes_each / GB
    new, free = todo * maps.bytes_each / GB, shutil.disk_usage(maps.store.folder).free / GB
    shape = " x ".join(map(str, split.shape))
    size = f"{count} views, {shape} behind {split.boundary}, take {all_of_them:.3g} GB"
    if all_of_them > most:
        raise TooLarge(f"the maps of {size}, and extraction.max_gb is {most:g}")
    if new + KEPT_FREE > free:
        raise TooLarge(f"the maps of {size}, and {free:.3g} GB of the disk are free")
    if todo and distributed.rank() == 0:
        print(f"graftwork: the maps of {size}; {todo} of them are run now.", file=sys.stderr)


def _run(
    experiment: Experiment,
    artifacts: Artifacts,
    prefix: FrozenPrefix,
    engine: Engine,
    maps: StoredMaps,
    todo: Sequence[View],
    views: Views,
) -> Iterator[tuple[str, np.ndarray]]:
    images = DecodedImages(artifacts, experiment.dataset)
    size = experiment.extraction.batch_size
    encoding: Engine = lambda pictures: maps.encoded(engine(pictures))  # noqa: E731
    return stream(encoding, todo, images, prefix.input_spec, size, show=views, title="Storing maps")


def room_error(reason: TooLarge) -> UserError:
    """Where live maps are no way out."""
    return UserError(
        f"extraction.prefix: stored, but {reason}. Raise extraction.max_gb, lower "
        "extraction.views, make room (graftwork store --prune), or choose extraction.prefix=live."
    )
