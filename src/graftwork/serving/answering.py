"""What the network of a model folder says of pictures, streamed: exactly what evaluation says.

A network that was trained is run by the engine that is chosen and checked as for evaluation; near
ties are asked again in float32. A head that was computed from features is given those of the
folder's backbone, run by the engine of whatever is frozen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

from graftwork.features.engines.choosing import Request
from graftwork.features.engines.loading import Batch
from graftwork.features.engines.running import Ready
from graftwork.features.engines.trained import TrainedBackbone, TrainedNetwork
from graftwork.metrics.softmax import softmax
from graftwork.model_folder import contents as model_folder
from graftwork.serving.reading import Photo, PhotoBatch
from graftwork.serving.settings import Settings

MOST = 64  # batches whose answers may wait until near ties fill one

T = TypeVar("T")


class ModelAnswers:
    """The network of a model folder, ready to answer.

    Args:
        folder: the model folder.
        kept: where converted networks lie.
        settings: of its engine; None: as `Settings.of` finds them.
        first: loads the batch that an engine is checked on, where none ever was.

    Attributes:
        ready: the network and the engine that was chosen.
        asked_again: how many pictures were near ties.

    Raises:
        UserError: the folder is not whole, or no engine runs it as it should.
    """

    def __init__(
        self, folder: Path, kept: Path, settings: Settings | None, first: Callable[[], Batch]
    ) -> None:
        contract = model_folder.read_contract(folder)
        model = model_folder.model_of(folder, contract)
        trained = model_folder.was_trained(folder, contract)
        wanted = settings or Settings.of(folder, trained)
        request = Request(
            model.name, "evaluation" if trained else "extraction", wanted.engine, wanted.precision,
            wanted.batch_size, wanted.min_cosine,
        )  # fmt: skip
        kind = TrainedNetwork if trained else TrainedBackbone
        network = kind(folder, kept, request, model.version, wanted.accelerator)
        self._head = None if trained else model_folder.read_head(folder)
        self._classes, self._size = len(contract.classes), wanted.batch_size
        self.asked_again = 0
        verdict = network.known_verdict()
        if verdict is None:
            batch = first()
            verdict = network.verdict(batch.images, len(batch.keys) or self._size)
        self.ready = Ready(network, verdict)

    def of(
        self, chunks: Iterable[T], load: Callable[[T], PhotoBatch]
    ) -> Iterator[tuple[tuple[Photo, ...], np.ndarray]]:
        """The photos of each batch, and the probabilities of those that could be read, in order.

        Memory holds a few batches, and the answers of `MOST` at most.

        Args:
            load: makes a full-sized batch of a chunk; called by several threads.

        Returns:
            float32 `[readable, num_classes]`.
        """
        waiting: list[tuple[tuple[Photo, ...], np.ndarray]] = []
        views: list[np.ndarray] = []
        places: list[tuple[np.ndarray, int]] = []
        for batch, outputs in self.ready.over(chunks, load):
            logits = self._logits(outputs)
            waiting.append((batch.photos, logits))
            for row in self.ready.near(logits):
                views.append(batch.images[row].copy())  # the others go
                places.append((logits, row))
            if not views or len(views) >= self._size or len(waiting) >= MOST:
                self._settle(views, places)
                yield from ((photos, _chances(rows)) for photos, rows in waiting)
                for done in (waiting, views, places):
                    done.clear()
        self._settle(views, places)
        yield from ((photos, _chances(rows)) for photos, rows in waiting)

    def of_batch(self, images: np.ndarray, count: int) -> np.ndarray:
        """The probabilities of one full-sized batch, now; not from several threads.

        Args:
            images: uint8 `[batch_size, S, S, 3]`.
            count: how many of them are pictures; the rest fills the batch.

        Returns:
            float32 `[count, num_classes]`.
        """
        logits = self._logits(self.ready.engine(images)[:count])
        near = self.ready.near(logits)
        if len(near):
            self.asked_again += len(near)
            logits[near] = self.ready.exact(images)[near]
        return _chances(logits)

    def _logits(self, outputs: np.ndarray) -> np.ndarray:
        if self._head is None or not len(outputs):
            return outputs
        head, tensors = self._head
        return head.logits(tensors, outputs, self._classes)

    def _settle(self, views: list[np.ndarray], places: list[tuple[np.ndarray, int]]) -> None:
        """Puts the logits of float32 in place of near ties."""
        self.asked_again += len(views)
        starts = range(0, len(views), self._size)
        exact = self.ready.exact if views else None
        for start, (_, found) in zip(
            starts, self.ready.over(starts, lambda at: self._filled(views[at:]), exact), strict=True
        ):
            for (logits, row), said in zip(places[start:], found, strict=False):
                logits[row] = said

    def _filled(self, views: list[np.ndarray]) -> Batch:
        views = views[: self._size]
        images = np.zeros((self._size, *views[0].shape), np.uint8)
        images[: len(views)] = views
        return Batch(tuple(map(str, range(len(views)))), images)


def _chances(logits: np.ndarray) -> np.ndarray:
    return softmax(logits) if len(logits) else logits
