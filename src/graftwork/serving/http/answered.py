"""From a request to what is said of its photos, within the limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import numpy as np
from fastapi import Request
from starlette.requests import ClientDisconnect

from graftwork.data.images import TooManyPixels, UnreadableImage
from graftwork.process.terminal import visible
from graftwork.serving.http.bodies import Refused, Sent, photos_of
from graftwork.serving.http.limits import Limits
from graftwork.serving.http.measures import Measures
from graftwork.serving.http.served import Served, Serving

Result = TypeVar("Result")


class Room:
    """So many at once, and no more: who comes too late is told at once.

    Args:
        most: how many.
        what: they are, for messages.
    """

    def __init__(self, most: int, what: str) -> None:
        self._most, self._what, self.taken = most, what, 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Raises `Refused`."""
        if self.taken >= self._most:
            raise Refused(503, f"{self._most} {self._what} are under way. Ask again in a second.")
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


class Answering:
    """Answers requests by the version of the model that is current when they come."""

    def __init__(self, serving: Serving, limits: Limits, measures: Measures) -> None:
        self._serving, self._limits, self._measures = serving, limits, measures
        self._room = Room(limits.requests, "requests")
        self._explained = Room(limits.explanations, "explanations")
        self._explaining = ThreadPoolExecutor(1, "explaining")  # one after the other
        measures.under_way.set_function(lambda: self._room.taken)

    async def predicted(self, request: Request, top: int) -> dict[str, Any]:
        """As of `messages.Predicted`. Raises `Refused`."""
        async with self._room.place():
            sent = await photos_of(request, self._limits)
            with self._serving.current.used() as served:
                found = await awaited(request, _said(served, sent), self._limits.answer_seconds)
        self._measures.photos.inc(len(sent))
        if all(isinstance(each, Refused) for each in found) and isinstance(found[0], Refused):
            raise found[0]
        classes = served.contract.classes
        pairs = zip(sent, found, strict=True)
        photos = [_photo(each.name, said, classes, top) for each, said in pairs]
        return {"version": served.version, "photos": photos}

    async def explained(self, request: Request) -> dict[str, Any]:
        """Of one photo, what the model looks at and what is like it. Raises `Refused`."""
        async with self._explained.place():
            sent = await photos_of(request, self._limits)
            if len(sent) != 1:
                raise Refused(400, "One photo is explained at a time.")
            with self._serving.current.used() as served:
                found = await awaited(
                    request, self._explanation(served, sent[0]), self._limits.explain_seconds
                )
        return {"version": served.version, **found}

    async def _explanation(self, served: Served, sent: Sent) -> dict[str, Any]:
        """Whoever stops waiting before his turn is passed over."""
        (said,) = await _said(served, [sent])
        if isinstance(said, Refused):
            raise said
        if served.explanation is None:
            raise Refused(501, "This service explains nothing.")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._explaining, served.explanation, sent.content, said)


async def awaited(request: Request, work: Coroutine[Any, Any, Result], seconds: float) -> Result:
    """What work gives, as long as somebody waits for it.

    Args:
        request: whose body has been read.

    Raises:
        Refused: it took longer.
        ClientDisconnect: who asked has gone.
    """
    tasks = asyncio.create_task(work), asyncio.create_task(_gone(request))
    try:
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)  # before any answer: what is cancelled no longer begins
    if tasks[0] in done:
        return tasks[0].result()
    if done:
        raise ClientDisconnect
    raise Refused(504, f"Not answered within {seconds:g} s.")


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _said(served: Served, sent: Sequence[Sent]) -> list[np.ndarray | Refused]:
    return await asyncio.gather(*(_of_one(served, each.content) for each in sent))


async def _of_one(served: Served, content: bytes) -> np.ndarray | Refused:
    try:
        return await served.chances(content)
    except TooManyPixels as error:
        return Refused(422, f"{error}."[:500])
    except UnreadableImage as error:
        return Refused(415, visible(f"Not a photo that can be read: {error}.")[:500])


def _photo(
    name: str, said: np.ndarray | Refused, classes: Sequence[str], top: int
) -> dict[str, Any]:
    if isinstance(said, Refused):
        return {"photo": name, "answers": [], "error": said.detail}
    order = np.argsort(-said, kind="stable")[:top]
    answers = [{"name": classes[k], "probability": float(said[k])} for k in order]
    return {"photo": name, "answers": answers, "error": ""}
