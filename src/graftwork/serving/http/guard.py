"""Who may ask: exact names, and pages of exact origins.

Without it a page anywhere reads what this machine serves to itself, by a name of its own that
resolves to 127.0.0.1 (DNS rebinding).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class Guard:
    """An ASGI app that passes on what was asked under its own names, by its own pages or no page.

    Args:
        app: what is guarded.
        names: under which it may be asked, such as `localhost:5000`.
        origins: of pages elsewhere that may ask, too, such as `https://photos.example`.
    """

    def __init__(self, app: App, names: Sequence[str], origins: Sequence[str] = ()) -> None:
        self._app, self._names = app, list(names)
        self._origins = [*(f"http://{name}" for name in names), *origins]

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answers 403 to a foreign host or origin."""
        if scope["type"] in ("http", "websocket") and not self._admits(scope):
            return await refuse(scope, send, 403, "Not from a page of this address.")
        return await self._app(scope, receive, send)

    def _admits(self, scope: Message) -> bool:
        sent = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
        ]
        hosts, origins = (
            [value for name, value in sent if name == wanted] for wanted in ("host", "origin")
        )
        own_page = all(origin in self._origins for origin in origins)
        return len(hosts) == 1 and hosts[0] in self._names and own_page


async def refuse(scope: Message, send: Send, status: int, text: str) -> None:
    """Answers in plain text; closes a websocket."""
    if scope["type"] == "websocket":
        return await send({"type": "websocket.close", "code": 1008})
    body = text.encode()
    length = str(len(body)).encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
