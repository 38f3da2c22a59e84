"""The one LightningDataModule: pictures as bytes, in an order that follows from the seed alone.

Samplers give whole batches of keys (epoch, index). So what a picture looks like is a function of
(seed, epoch, index), and the order one of (seed, epoch): neither depends on how many worker
processes load, nor on how many processes train.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from graftwork.config.errors import UserError
from graftwork.training.lightning import pl
from graftwork.transfer import parts

# (epoch, index): of the row, and n further on for each time that it came before in this epoch.
Key = tuple[int, int]
View = Callable[[np.ndarray, int, int], np.ndarray]
Batch = tuple[torch.Tensor, torch.Tensor]


# Splits that can be watched: what their pictures are called, how to do without them.
WATCHED = {
    "val": ("held-out", "selection=none"),
    "test": ("test", "trainer.watch_test=false"),
}


class Images(Protocol):
    """Where decoded pictures come from."""

    def get(self, sha256: str, path: str) -> np.ndarray:
        """uint8 `[H, W, 3]`."""


class Pictures(Dataset[Batch]):
    """Rows of the manifest as batches: uint8 `[B, S, S, 3]` and int64 `[B]`."""

    def __init__(self, frame: pd.DataFrame, images: Images, view: View) -> None:
        self.labels = frame["label"].to_numpy(np.int64)
        self._sha256 = frame["sha256"].tolist()
        self._path = frame["path"].tolist()
        self._images = images
        self._view = view

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, keys: Sequence[Key]) -> Batch:
        pictures = [self._picture(epoch, index) for epoch, index in keys]
        labels = self.labels[[index % len(self) for _, index in keys]]
        return torch.from_numpy(np.stack(pictures)), torch.from_numpy(labels)

    def _picture(self, epoch: int, index: int) -> np.ndarray:
        row = index % len(self)
        image = self._images.get(self._sha256[row], self._path[row])
        return self._view(image, epoch, index)


@dataclass
class TrainingOrder(Sampler[list[Key]]):
    """Batches in the sampler's order; each process takes its slice of every one.

    The rows left over by the last whole step wait for the next epoch, whose order is another:
    a small last step would count for more than its share.
    """

    labels: np.ndarray  # integers [n], of the rows
    batch_size: int  # rows a forward pass, over all processes together
    seed: int
    sampler: parts.Sampler
    rank: int = 0
    processes: int = 1
    begun: tuple[int, int] = (0, 0)  # the epoch that comes first, and its batches that are done
    passes: int = 1  # forward passes a step, at most

    def __post_init__(self) -> None:
        self.epoch = self.begun[0]
        self.count = len(self.labels)
        most = self.batch_size * self.passes
        self.whole = min(most, self.count // self.processes * self.processes)  # rows a step
        if not self.whole:
            raise UserError(
                f"trainer.processes: {self.processes} processes for {self.count} training "
                "pictures. Legal: at most one a picture."
            )

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch."""
        self.epoch = epoch

    @property
    def steps(self) -> int:
        """Of an epoch."""
        return self.count // self.whole

    @property
    def shares(self) -> tuple[float, ...]:
        """Of a step's rows in each of its forward passes, of which the last may be smaller."""
        starts = range(0, self.whole, self.batch_size)
        return tuple(min(self.batch_size, self.whole - start) / self.whole for start in starts)

    def __len__(self) -> int:
        return self.steps * len(self.shares)

    def __iter__(self) -> Iterator[list[Key]]:
        order = self._order(self.epoch)
        done = self.begun[1] // len(self.shares) if self.epoch == self.begun[0] else 0
        for step in range(done, self.steps):
            for dealt in self._passes(order, step):
                yield [(self.epoch, int(key)) for key in dealt[self.rank]]

    def keys(self, epoch: int, step: int) -> list[list[Key]]:
        """Of a step of an epoch, both counted from 0: of each process those of all its passes."""
        passes = list(self._passes(self._order(epoch), step))
        return [
            [(epoch, int(key)) for dealt in passes for key in dealt[rank]]
            for rank in range(self.processes)
        ]

    def _passes(self, order: np.ndarray, step: int) -> Iterator[list[np.ndarray]]:
        """Keys of each pass of a step, by process."""
        of_step = order[step * self.whole : (step + 1) * self.whole]
        for start in range(0, self.whole, self.batch_size):
            yield np.array_split(of_step[start : start + self.batch_size], self.processes)

    def _order(self, epoch: int) -> np.ndarray:
        rows = self.sampler.rows(self.labels, self.seed, epoch)
        return rows + self.count * times_before(rows)


def times_before(rows: np.ndarray) -> np.ndarray:
    """How often each row came before, integers `[n]`: of a picture that an epoch shows twice the
    second view is another."""
    order = np.argsort(rows, kind="stable")
    first = np.searchsorted(rows[order], rows[order])  # position of its first in sorted order
    found = np.empty_like(rows)
    found[order] = np.arange(len(rows)) - first
    return found


@dataclass
class ValidationOrder(Sampler[list[Key]]):
    """Every row once, none twice, none added: process r of N takes rows r, r + N, ..."""

    count: int
    batch_size: int  # over all processes together
    rank: int = 0
    processes: int = 1

    def __post_init__(self) -> None:
        self.rows = range(self.rank, self.count, self.processes)
        self.share = max(1, self.batch_size // self.processes)

    def __len__(self) -> int:
        return -(-len(self.rows) // self.share)

    def __iter__(self) -> Iterator[list[Key]]:
        for start in range(0, len(self.rows), self.share):
            yield [(0, row) for row in self.rows[start : start + self.share]]


class Labelled(Protocol):
    """A data set of batches: pictures, or what a frozen prefix made of them."""

    labels: np.ndarray  # int64 [n]

    def __len__(self) -> int: ...

    def __getitem__(self, keys: Sequence[Key]) -> Batch: ...


class TrainingData(pl.LightningDataModule):
    """Training and validation pictures, and test pictures where their curve is wanted.

    Args:
        fit: what is trained on.
        watched: what is evaluated after each epoch, by split (val, test); a split without rows is
            left out.
        batch_size: of a forward pass, over all processes together.
        passes: forward passes a step, at most.
        sampler: which training pictures an epoch shows.
        workers: loader processes of each training process.
        timeout: seconds that they may take for a batch; 0: for ever.
    """

    def __init__(
        self,
        fit: Labelled,
        watched: Mapping[str, Labelled],
        *,
        batch_size: int,
        workers: int,
        seed: int,
        sampler: parts.Sampler,
        rank: int = 0,
        processes: int = 1,
        passes: int = 1,
        timeout: float = 0,
    ) -> None:
        super().__init__()
        self._fit = fit
        self._watched = {split: rows for split, rows in watched.items() if len(rows)}
        self._batch_size, self._workers, self._seed = batch_size, workers, seed
        self._timeout = timeout if workers else 0
        self._place = {"rank": rank, "processes": processes}
        self._sampler, self._passes = sampler, passes
        self._begun = (0, 0)

    def begin_at(self, epoch: int, batch: int) -> None:
        """Loaders for training that are asked for from now on pass over what comes before.

        Args:
            batch: the first of a step.
        """
        self._begun = (epoch, batch)

    def order(self) -> TrainingOrder:
        """Of the training pictures."""
        return TrainingOrder(
            self._fit.labels, self._batch_size, self._seed, self._sampler, **self._place,
            begun=self._begun, passes=self._passes,
        )  # fmt: skip

    def train_dataloader(self) -> DataLoader[Batch]:
        return self._loader(self._fit, self.order())

    @property
    def watched(self) -> tuple[str, ...]:
        """Splits that are evaluated after each epoch, in the order of their loaders."""
        return tuple(self._watched)

    def val_dataloader(self) -> list[DataLoader[Batch]]:
        return [self._still_loader(*split) for split in self._watched.items()]

    def _still_loader(self, split: str, pictures: Labelled) -> DataLoader[Batch]:
        processes, count = self._place["processes"], len(pictures)
        if count < processes:  # one without a picture would wait for ever
            kind, remedy = WATCHED[split]
            raise UserError(
                f"trainer.processes: {processes} processes for {count} {kind} pictures. Legal: at "
                f"most one a picture, or {remedy}."
            )
        return self._loader(pictures, ValidationOrder(count, self._batch_size, **self._place))

    def _loader(self, pictures: Labelled, order: Sampler[list[Key]]) -> DataLoader[Batch]:
        return DataLoader(
            pictures,  # type: ignore[arg-type]
            batch_size=None,  # the order gives whole batches
            sampler=order,
            num_workers=self._workers,
            timeout=self._timeout,
            persistent_workers=self._workers > 0,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator().manual_seed(self._seed),  # leaves the global one alone
        )


class PictureData(TrainingData):
    """Of pictures themselves.

    Args:
        fit: rows of the manifest to train on.
        watched: rows to evaluate after each epoch, by split.
        images: where decoded pictures come from.
        augment: for training pictures, of (picture, epoch, index).
        view: for watched pictures, of a picture alone.
        options: as of `TrainingData`.
    """

    def __init__(
        self,
        fit: pd.DataFrame,
        watched: Mapping[str, pd.DataFrame],
        images: Images,
        augment: View,
        view: Callable[[np.ndarray], np.ndarray],
        **options: Any,
    ) -> None:
        still = Still(view)
        shown = {split: Pictures(rows, images, still) for split, rows in watched.items()}
        super().__init__(Pictures(fit, images, augment), shown, **options)


@dataclass(frozen=True)
class Still:
    """A view that is the same in every epoch."""

    view: Callable[[np.ndarray], np.ndarray]

    def __call__(self, image: np.ndarray, epoch: int, index: int) -> np.ndarray:
        return self.view(image)
