"""What stands before MLflow's pages: exact names, exact origins, no foreign places for artifacts.

MLflow answers a page of any port of this machine, and browsers let every program on it open one.
Its server loads this app by name (`--app-name`, the entry point `mlflow.app`).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading

from graftwork.serving.http.guard import App, Guard, Message, Receive, Send, refuse

NAMES = "GRAFTWORK_UI_NAMES"  # environment: host:port, comma-separated, under which it answers
TIED = "GRAFTWORK_UI_TIED"  # environment, set: standard input is a pipe that the starter holds
MOST_BODY = 64 * 2**20  # bytes of a request that is looked at
CREATES = "/experiments/create"  # ends the path of what may name a place for artifacts


class Placeless:
    """An ASGI app that passes on what names no place for artifacts."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answers 400 to a place for artifacts."""
        if scope["type"] == "http" and scope["path"].rstrip("/").endswith(CREATES):
            body = await _body(receive)
            if body is None or _names_a_place(body):
                return await refuse(scope, send, 400, "artifact_location: not from a page.")
            receive = _again(body, receive)
        return await self._app(scope, receive, send)


async def _body(receive: Receive) -> bytes | None:
    """All of a request; None: it is too large."""
    parts, more = b"", True
    while more:
        message = await receive()
        parts += message.get("body", b"")
        more = message.get("more_body", False)
        if len(parts) > MOST_BODY:
            return None
    return parts


def _names_a_place(body: bytes) -> bool:
    """Whether artifacts shall lie somewhere else than in the project: what cannot be read counts
    as if they should."""
    if not body.strip():
        return False
    try:
        asked = json.loads(body)
    except ValueError:
        return True
    return not isinstance(asked, dict) or bool(
        asked.get("artifact_location") or asked.get("artifactLocation")
    )


def _again(body: bytes, receive: Receive) -> Receive:
    """The request once more, for the app behind."""
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return left.pop() if left else await receive()

    return receive_again


def _end_with_starter() -> None:
    """The pipe closes when the starter ends, killed or not; then all of this group ends."""

    def wait() -> None:
        sys.stdin.buffer.read()
        os.killpg(0, signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def app() -> App:
    """MLflow's pages behind the guard, under the names that the environment gives."""
    from mlflow.server.fastapi_app import app as pages

    if TIED in os.environ:
        _end_with_starter()
    return Guard(Placeless(pages), os.environ[NAMES].split(","))
