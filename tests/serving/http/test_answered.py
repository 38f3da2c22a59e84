from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import Request
from starlette.requests import ClientDisconnect

from graftwork.serving.http.answered import awaited
from graftwork.serving.http.bodies import Refused


async def patient() -> dict[str, Any]:
    await asyncio.sleep(60)
    return {}


async def hangs_up() -> dict[str, Any]:
    return {"type": "http.disconnect"}


@pytest.mark.parametrize(
    ("receive", "seconds", "end"), [(patient, 0.01, Refused), (hangs_up, 60, ClientDisconnect)]
)
def test_who_no_longer_waits_has_left_the_queue_before_an_answer_is_sent(
    receive: Callable[[], Awaitable[Any]], seconds: float, end: type[Exception]
) -> None:
    """Else an explanation whose turn comes at that moment would be computed for nobody."""
    left = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            left.append(True)

    async def asked() -> None:
        with pytest.raises(end):
            await awaited(Request({"type": "http"}, receive), work(), seconds)
        assert left == [True]

    asyncio.run(asked())


def test_what_is_done_in_time_is_given_and_its_error_passed_on() -> None:
    async def work(value: int) -> float:
        return 1 / value

    async def asked(value: int) -> float:
        return await awaited(Request({"type": "http"}, patient), work(value), 60)

    assert asyncio.run(asked(2)) == 0.5
    with pytest.raises(ZeroDivisionError):
        asyncio.run(asked(0))
