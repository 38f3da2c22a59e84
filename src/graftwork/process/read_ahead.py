"""Work that is done on threads a little before its result is wanted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from graftwork.process.cores import cores

T = TypeVar("T")
R = TypeVar("R")


def ahead(
    function: Callable[[T], R],
    items: Iterable[T],
    most: int,
    name: str,
    threads: int | None = None,
    begin: Callable[[], None] | None = None,
) -> Iterator[R]:
    """Results in order, computed on threads.

    Decoding and resizing release Python's lock, so that threads are enough.

    Args:
        most: results that may wait, done or not, beside the one that is used.
        name: of the threads.
        threads: how many; None: as many as there are cores.
        begin: what each thread does first.
    """
    waiting: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(threads or cores(), name, begin)
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
