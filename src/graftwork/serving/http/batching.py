"""Photos that come together are run together: one batch, whoever sent them.

A batch always has the same size, so that an answer does not depend on who else asks; half-empty it
takes as long as full. While further photos are being decoded it therefore waits for them, for a
limited time; a photo that comes alone never waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np

Answer = Callable[[Sequence[np.ndarray]], np.ndarray]
Waiting = tuple[np.ndarray, "asyncio.Future[np.ndarray]"]


class Batcher:
    """Collects views while the engine computes others; it works while `running` does.

    Args:
        answer: from at most `size` views uint8 `[S, S, 3]` to a row each; called by one thread.
        size: of a batch.
        wait: s that a view waits for others on their way, at most, when the engine is free.
        seen: is told how many views each batch had.
    """

    def __init__(
        self, answer: Answer, size: int, wait: float, seen: Callable[[int], None] = lambda _: None
    ) -> None:
        self._answer, self._size, self._wait, self._seen = answer, size, wait, seen
        self._queue: asyncio.Queue[Waiting] = asyncio.Queue()
        self._coming = 0  # views that are being made
        self._engine = ThreadPoolExecutor(1, "engine")
        self._task = asyncio.create_task(self._run())

    async def said(self, view: Awaitable[np.ndarray]) -> np.ndarray:
        """The row of one view, once it is made. Whoever stops waiting is passed over."""
        self._coming += 1
        try:
            made = await view
        finally:
            self._coming -= 1
        future: asyncio.Future[np.ndarray] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((made, future))
        return await future

    async def close(self) -> None:
        """Ends when nothing is asked any more."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self._engine.shutdown()

    async def _run(self) -> None:
        while True:
            batch = [await self._queue.get()]
            with suppress(TimeoutError):
                async with asyncio.timeout(self._wait):
                    while len(batch) < self._size and (self._coming or not self._queue.empty()):
                        batch.append(await self._queue.get())
            if batch := [pair for pair in batch if not pair[1].done()]:
                await self._compute(batch)

    async def _compute(self, batch: Sequence[Waiting]) -> None:
        self._seen(len(batch))
        loop = asyncio.get_running_loop()
        try:
            views = [view for view, _ in batch]
            rows = await loop.run_in_executor(self._engine, self._answer, views)
        except Exception as error:  # an engine may raise anything: who asked is told
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), row in zip(batch, rows, strict=True):
            if not future.done():
                future.set_result(row)
