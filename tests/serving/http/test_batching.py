from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from graftwork.serving.http.batching import Batcher


async def view(number: int, seconds: float = 0.0) -> np.ndarray:
    await asyncio.sleep(seconds)
    return np.full((1, 1, 3), number, np.uint8)


def doubled(views: Sequence[np.ndarray]) -> np.ndarray:
    return np.array([[2 * int(each[0, 0, 0])] for each in views])


def test_what_comes_together_is_run_together_and_each_gets_its_own() -> None:
    async def asked() -> tuple[list[int], list[int]]:
        sizes: list[int] = []
        batcher = Batcher(doubled, 4, 0.5, sizes.append)
        rows = await asyncio.gather(*(batcher.said(view(k, 0.001 * k)) for k in range(10)))
        await batcher.close()
        return [int(row[0]) for row in rows], sizes

    assert asyncio.run(asked()) == ([2 * k for k in range(10)], [4, 4, 2])


def test_who_comes_alone_does_not_wait_and_who_waits_waits_no_longer_than_said() -> None:
    async def asked(wait: float, others: float) -> tuple[float, list[int]]:
        loop, sizes = asyncio.get_running_loop(), list[int]()
        batcher = Batcher(doubled, 4, wait, sizes.append)
        late = [asyncio.ensure_future(batcher.said(view(2, others)))] if others else []
        begun = loop.time()
        await batcher.said(view(1))
        seconds = loop.time() - begun
        await asyncio.gather(*late)
        await batcher.close()
        return seconds, sizes

    seconds, sizes = asyncio.run(asked(wait=30, others=0))
    assert seconds < 10 and sizes == [1]
    seconds, sizes = asyncio.run(asked(wait=0.05, others=0.5))
    assert 0.05 <= seconds < 0.5 and sizes == [1, 1]


def test_who_stops_waiting_is_passed_over_and_an_error_goes_to_who_asked() -> None:
    seen: list[int] = []

    def answer(views: Sequence[np.ndarray]) -> np.ndarray:
        seen.extend(int(each[0, 0, 0]) for each in views)
        if 3 in seen:
            raise RuntimeError("the engine is broken")
        return doubled(views)

    async def asked() -> None:
        batcher = Batcher(answer, 4, 0.2)
        gone = asyncio.ensure_future(batcher.said(view(1)))
        stays = asyncio.ensure_future(batcher.said(view(2, 0.05)))
        await asyncio.sleep(0.01)
        gone.cancel()
        assert (await stays)[0] == 4 and seen == [2]
        with pytest.raises(RuntimeError, match="broken"):
            await batcher.said(view(3))
        seen.clear()
        assert (await batcher.said(view(4)))[0] == 8  # it goes on
        assert seen == [4]
        await batcher.close()

    asyncio.run(asked())
