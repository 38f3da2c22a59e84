"""A bounded client on loopback: so many connections, each with one request under way at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

PATIENCE = 120.0  # s until a request counts as hung


@dataclass(frozen=True)
class Asked:
    """A request, and the status that is its right answer."""

    content: bytes  # all of it, as it goes over the wire
    expected: int


@dataclass(frozen=True)
class Outcome:
    """What became of a request."""

    asked: Asked
    status: int  # 0: none came
    seconds: float
    told: str  # what came instead of an answer; or the answer's first bytes

    @property
    def is_right(self) -> bool:
        return self.status == self.asked.expected


def post(port: int, path: str, kind: str, body: bytes, expected: int = 200) -> Asked:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return Asked(head.encode() + body, expected)


async def load(port: int, requests: Sequence[Asked], connections: int) -> list[Outcome]:
    """All requests, in order; a connection that the server closes is followed by another.

    Once nobody listens any more, what was not sent yet is not sent: only what went out counts.
    """
    waiting, done = iter(requests), list[Outcome]()
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_connection(port, waiting, done))
    return done


async def _connection(port: int, waiting: Iterator[Asked], done: list[Outcome]) -> None:
    streams = None
    for asked in waiting:
        if streams is None:
            try:
                streams = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return  # nobody listens
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(PATIENCE):
                status, told, stays = await _answer(*streams, asked.content)
        except (OSError, asyncio.IncompleteReadError, ValueError, TimeoutError) as error:
            status, told, stays = 0, repr(error), False
        done.append(Outcome(asked, status, time.perf_counter() - begun, told))
        if not stays:
            streams[1].close()
            streams = None
    if streams:
        streams[1].close()


async def _answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, content: bytes
) -> tuple[int, str, bool]:
    writer.write(content)
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
    fields = dict(line.partition(": ")[::2] for line in head[1:])
    body = await reader.readexactly(int(fields.get("content-length", 0)))
    stays = fields.get("connection") != "close"
    return int(head[0].split()[1]), body[:120].decode("utf-8", "replace"), stays


def rate(outcomes: Sequence[Outcome], seconds: float) -> str:
    """Requests a second, and how long they took."""
    middle, late = np.percentile([outcome.seconds for outcome in outcomes], (50, 99)) * 1000
    return f"{len(outcomes) / seconds:.0f} requests/s, p50 {middle:.0f} ms, p99 {late:.0f} ms"
