"""Who is refused is told under which name, or from where, it would have been answered."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from graftwork.serving.http.guard import Guard

OWN = (b"host", b"127.0.0.1:8000")


def answered(*headers: tuple[bytes, bytes]) -> str:
    """The body of the refusal; empty where the app was asked."""
    sent: list[Any] = []

    async def app(*_: Any) -> None:
        return None

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nothing of a body is read")

    guard = Guard(app, ["127.0.0.1:8000", "localhost:8000"], ["https://shop.example"])
    asyncio.run(guard({"type": "http", "headers": list(headers)}, receive, send))
    return b"".join(message.get("body", b"") for message in sent).decode()


@pytest.mark.parametrize("headers", [(), ((b"host", b"my-box:8000"),), (OWN, OWN)])
def test_a_foreign_name_is_told_the_legal_ones_and_the_option(headers: Any) -> None:
    text = answered(*headers)
    assert "127.0.0.1:8000, localhost:8000" in text and "--name" in text


def test_a_foreign_page_is_told_of_the_option() -> None:
    assert "--origin" in answered(OWN, (b"origin", b"http://evil.example"))


def test_own_names_and_named_pages_are_answered() -> None:
    assert answered(OWN) == answered(OWN, (b"origin", b"https://shop.example")) == ""
