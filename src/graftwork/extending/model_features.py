"""Features of a model folder's own backbone, kept in the project's store by content."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from graftwork.data.images import POLICY, VIEW, DecodedImages
from graftwork.features.engines import keys
from graftwork.features.engines.choosing import Request
from graftwork.features.engines.loading import Batch, Picture, load_batch
from graftwork.features.engines.running import Ready
from graftwork.features.engines.trained import TrainedBackbone
from graftwork.model_folder import contents as model_folder
from graftwork.process.installed import releases
from graftwork.process.progress import speed_bar
from graftwork.serving.reading import Photo, PhotoBatch, read_batch
from graftwork.serving.settings import Settings
from graftwork.storage.array_store import ArrayStore
from graftwork.storage.artifacts import Artifacts

T = TypeVar("T")
B = TypeVar("B", bound=Batch)
STORED = "its features are stored"


class ModelFeatures:
    """Of a trained network they are those of its trained backbone, not of the pretrained one.

    Args:
        folder: the model folder.
        artifacts: whose store keeps converted networks and features.
        first: pictures on which an engine is checked, where none ever was.
        images: where pictures of the manifest come from.

    Raises:
        UserError: the folder is not whole, or no engine runs it as it should.
    """

    def __init__(
        self, folder: Path, artifacts: Artifacts, first: Sequence[Picture], images: DecodedImages
    ) -> None:
        self._contract = model_folder.read_contract(folder)
        model, wanted = model_folder.model_of(folder, self._contract), Settings.of(folder, False)
        request = Request(
            model.name, "extraction", wanted.engine, wanted.precision, wanted.batch_size,
            wanted.min_cosine,
        )  # fmt: skip
        network = TrainedBackbone(
            folder, artifacts.trained, request, model.version, wanted.accelerator
        )
        verdict = network.verdict_of(first[: wanted.batch_size], images)
        self._ready = Ready(network, verdict)
        self._images, self._size = images, wanted.batch_size
        facts = {
            "network": network.key, "engine": verdict.engine, "precision": verdict.precision,
            "preprocessing": vars(self._contract.preprocessing), "prepares": [POLICY, VIEW],
            "versions": releases("opencv-python-headless", "pillow", "simplejpeg"),
        }  # fmt: skip
        self._store = ArrayStore(artifacts.features / keys.digest(facts), "float32")

    def of_pictures(self, pictures: Sequence[Picture]) -> np.ndarray:
        """float32 `[n, num_features]` of pictures of the manifest; what the store lacks is run."""
        missing = set(self._store.missing((p.sha256 for p in pictures), read=True))
        todo = list({p.sha256: p for p in pictures if p.sha256 in missing}.values())
        load = partial(
            load_batch, images=self._images, spec=self._contract.input_spec, batch_size=self._size
        )
        for _ in self._run(todo, load):
            pass
        return self._store.rows([picture.sha256 for picture in pictures])

    def of_files(self, paths: Sequence[str]) -> tuple[list[Photo], np.ndarray]:
        """Files as `graftwork predict` reads them: all photos, the unreadable with their reason;
        and float32 `[n, num_features]` of the others, each content once."""

        def load(chunk: Sequence[str]) -> PhotoBatch:
            return read_batch(chunk, self._contract, self._size, self._passed_over)

        photos = [photo for batch in self._run(paths, load) for photo in batch.photos]
        found = dict.fromkeys(p.sha256 for p in photos if p.reason in ("", STORED))
        return photos, self._store.rows(list(found)) if found else np.zeros((0, 0), np.float32)

    def _passed_over(self, path: str, sha256: str) -> str:
        return STORED if sha256 in self._store else ""

    def _run(self, items: Sequence[T], load: Callable[[Sequence[T]], B]) -> Iterator[B]:
        """Stores the features of each batch, and hands it on, in order."""
        chunks = [items[start : start + self._size] for start in range(0, len(items), self._size)]
        if not chunks:
            return
        with self._store.writing(), speed_bar("Features", len(items)) as seen:
            for count, (batch, rows) in enumerate(self._ready.over(chunks, load), 1):
                self._store.append(zip(batch.keys, rows, strict=True))
                seen(min(count * self._size, len(items)))
                yield batch
