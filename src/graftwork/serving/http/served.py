"""The model that is served, and how a newer one takes its place without a lost request."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from graftwork.config.errors import UserError
from graftwork.model_folder import contents as model_folder
from graftwork.model_folder.contents import Contract
from graftwork.process.cores import cores
from graftwork.process.terminal import visible
from graftwork.serving.answering import ModelAnswers
from graftwork.serving.http.batching import Batcher
from graftwork.serving.http.first_photos import first_photos
from graftwork.serving.http.limits import Limits
from graftwork.serving.http.measures import Measures
from graftwork.serving.places import Found
from graftwork.serving.settings import Settings
from graftwork.serving.views import view_of


class Explanation(Protocol):
    """What else is said of a photo; slow, and built when first asked for."""

    def __call__(self, content: bytes, chances: np.ndarray) -> dict[str, Any]: ...


class Served:
    """One version of the model, ready. Made in a thread, `start`ed in the event loop."""

    def __init__(
        self,
        folder: Path,
        kept: Path,
        admitted: Limits,
        explanation: Callable[[Path, Contract, Path], Explanation] | None,
    ) -> None:
        contract = model_folder.read_contract(folder)
        self.version = version_of(folder)
        seen = contract.preprocessing
        fewer = replace(seen, max_pixels=min(seen.max_pixels, admitted.pixels))
        self.contract = replace(contract, preprocessing=fewer)
        self._size = admitted.batch_size
        settings = replace(
            Settings.of(folder, model_folder.was_trained(folder, contract)), batch_size=self._size
        )
        self.answers = ModelAnswers(
            folder, kept, settings, lambda: first_photos(folder, contract, self._size)
        )
        self.answer([np.zeros((contract.input_spec.size,) * 2 + (3,), np.uint8)])  # warm
        self.explanation = explanation and explanation(folder, contract, kept)
        self._used = 0
        self._unused = asyncio.Event()

    def start(self, admitted: Limits, measures: Measures) -> None:
        """Takes requests from now on."""
        wait = admitted.wait_ms / 1000
        self._unused.set()
        self._batcher = Batcher(self.answer, self._size, wait, measures.batch.observe)
        self._decoding = ThreadPoolExecutor(cores(), "decoding")

    def answer(self, views: Sequence[np.ndarray]) -> np.ndarray:
        """Probabilities of at most a batch of views."""
        images = np.zeros((self._size, *views[0].shape), np.uint8)
        images[: len(views)] = views
        return self.answers.of_batch(images, len(views))

    async def chances(self, content: bytes) -> np.ndarray:
        """Probabilities float32 `[num_classes]` of an encoded photo.

        Raises:
            graftwork.data.images.UnreadableImage: it cannot be decoded.
        """
        loop = asyncio.get_running_loop()
        view = loop.run_in_executor(self._decoding, view_of, content, self.contract)
        return await self._batcher.said(view)

    @contextmanager
    def used(self) -> Iterator[Served]:
        """While a request is answered by it."""
        self._used += 1
        self._unused.clear()
        try:
            yield self
        finally:
            self._used -= 1
            if not self._used:
                self._unused.set()

    async def close(self) -> None:
        """When its last request is answered."""
        await self._unused.wait()
        await self._batcher.close()
        self._decoding.shutdown(wait=False)


class Serving:
    """The version that new requests get.

    Args:
        find: the model folder that is to be served now; slow, and may raise UserError.
        load: makes the version that a model folder holds now; slow.

    Attributes:
        current: that version.
        found: where it lies, and where it came from.
        refused: why the newest version is not served; empty where it is.
    """

    def __init__(
        self,
        find: Callable[[], Found],
        load: Callable[[Path], Served],
        admitted: Limits,
        measures: Measures,
    ) -> None:
        self._find, self._load = find, load
        self._limits, self._measures = admitted, measures
        self.found = find()
        self.current, self.refused = load(self.found.folder), ""
        self._tried = self.current.version, self.found.source
        self._lock = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """In the event loop: takes requests, and looks for newer versions."""
        self.current.start(self._limits, self._measures)
        self._measures.version(self.current.version, self.found.source)
        self._watching = asyncio.create_task(self._watch())

    async def reload(self) -> bool:
        """Takes over what is to be served now. Returns whether it is another version.

        Raises:
            UserError: it is no whole model; the earlier one goes on answering.
        """
        async with self._lock:
            try:
                found, newer = await asyncio.to_thread(self._newer)
            except Exception as error:  # whoever wrote the folder chose what is built
                self.refused = str(error) if isinstance(error, UserError) else repr(error)
                self._measures.refused.inc()
                raise UserError(self.refused) from error
            self.found, self.refused = found, ""
            if newer is not None:
                newer.start(self._limits, self._measures)
                self._close_later(self.current)
                self.current = newer
            self._measures.version(self.current.version, found.source)
            return newer is not None

    def _newer(self) -> tuple[Found, Served | None]:
        """What is to be served now; None: it is the current version."""
        found = self._find()
        is_current = version_of(found.folder) == self.current.version
        return found, None if is_current else self._load(found.folder)

    def _close_later(self, earlier: Served) -> None:
        task = asyncio.create_task(earlier.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """When every request is answered."""
        self._watching.cancel()
        with suppress(asyncio.CancelledError):
            await self._watching
        await asyncio.gather(self.current.close(), *self._closing)

    async def _watch(self) -> None:
        """Tries once whatever appears."""
        while True:
            await asyncio.sleep(self._limits.watch_seconds)
            seen = await asyncio.to_thread(self._look)
            if not seen[0] or seen == self._tried:
                continue
            self._tried = seen
            try:
                await self.reload()
                print(f"serving version {self.current.version}, {self.found.source}", flush=True)
            except UserError as error:
                print(f"still version {self.current.version}: {visible(error)}", flush=True)

    def _look(self) -> tuple[str, str]:
        """The version that is to be served now, and where it comes from; or why there is none."""
        try:
            found = self._find()
            return version_of(found.folder), found.source
        except OSError:  # it is just being replaced
            return "", ""
        except Exception as error:  # whatever a registry may raise: the watch goes on
            return "none", str(error)


def version_of(folder: Path) -> str:
    """The first digits of its contract's sha256, which names the weights; empty: there is none."""
    try:
        return hashlib.sha256((folder / model_folder.CONTRACT).read_bytes()).hexdigest()[:12]
    except FileNotFoundError:
        return ""
