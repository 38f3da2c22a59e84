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
        """Answers 403 to a foreign host or origin, with what would have been answered."""
        if scope["type"] in ("http", "websocket") and (why := self._refusal(scope)):
            return await refuse(scope, send, 403, why)
        return await self._app(scope, receive, send)

    def _refusal(self, scope: Message) -> str:
        """Why this is not passed on; empty where it is."""
        sent = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
        ]
        hosts, origins = (
            [value for name, value in sent if name == wanted] for wanted in ("host", "origin")
        )
        if len(hosts) != 1 or hosts[0] not in self._names:
            names = ", ".join(self._names)
            return f"Not under this name. Legal: {names}; `graftwork serve --name` adds others."
        if not all(origin in self._origins for origin in origins):
            return (
                "Not from a page of another address; `graftwork serve --origin` admits its pages."
            )
        return ""


async def refuse(scope: Message, send: Send, status: int, text: str) -> None:
    """Answers in plain text; closes a websocket."""
    if scope["type"] == "websocket":
        return await send({"type": "websocket.close", "code": 1008})
    body = text.encode()
    length = str(len(body)).encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
