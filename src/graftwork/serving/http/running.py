"""The service as a process: its socket, its signals, its end."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from starlette.middleware.cors import CORSMiddleware

from graftwork.serving.http.app import Measured, Pages, service
from graftwork.serving.http.guard import App, Guard
from graftwork.serving.http.limits import Limits
from graftwork.serving.http.measures import Measures
from graftwork.serving.http.protocol import PatientProtocol
from graftwork.serving.http.served import Explanation, Served, Serving
from graftwork.serving.places import Found

MOST_HEADERS = 32 * 2**10  # bytes of a request's headers
IDLE = 30  # s that a connection stays open between two requests


@dataclass(frozen=True)
class Address:
    """Where the service is, and who may ask."""

    host: str
    port: int
    names: Sequence[str]  # host:port, under which it answers
    origins: Sequence[str]  # of pages elsewhere that may ask


def run(
    find: Callable[[], Found],
    kept: Path,
    address: Address,
    limits: Limits,
    explanation: Callable[..., Explanation] | None,
    pages: Pages,
    begun: Callable[[Serving], None] = lambda _: None,
) -> None:
    """Serves a model until SIGTERM or Ctrl-C; requests under way are answered first.

    Args:
        find: as of `Serving`.
        kept: where converted networks lie.
        begun: is told when the model is ready.

    Raises:
        UserError: the folder is no whole model.
    """
    measures = Measures()
    load = partial(Served, kept=kept, admitted=limits, explanation=explanation)
    serving = Serving(find, load, limits, measures)
    begun(serving)
    config = uvicorn.Config(
        guarded(serving, address, limits, measures, pages, lambda: is_ending(server)),
        **settings(address, limits),
    )
    server = uvicorn.Server(config)
    # uvicorn answers what is under way and then raises the signal again: that is the end wanted.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server.run()


def is_ending(server: uvicorn.Server) -> bool:
    """Whether nobody can connect any more: who is told to go before would come back, and be lost
    among those that nobody has let in yet."""
    return server.started and not any(each.is_serving() for each in server.servers)


def settings(address: Address, limits: Limits) -> dict[str, Any]:
    """Of uvicorn."""
    return {
        "host": address.host, "port": address.port, "ws": "none", "lifespan": "on",
        "http": partial(PatientProtocol, header_seconds=limits.header_seconds),
        "log_level": "error", "access_log": False, "server_header": False,
        "proxy_headers": False,  # whoever asks does not say who asks
        "limit_concurrency": limits.connections, "timeout_keep_alive": IDLE,
        "timeout_graceful_shutdown": int(limits.stop_seconds) or 1,
        "h11_max_incomplete_event_size": MOST_HEADERS,
    }  # fmt: skip


def guarded(
    serving: Serving,
    address: Address,
    limits: Limits,
    measures: Measures,
    pages: Pages,
    is_ending: Callable[[], bool],
) -> App:
    """The service behind its guard."""
    app: Any = service(serving, limits, measures, is_ending, pages)
    if address.origins:
        app = CORSMiddleware(app, allow_origins=address.origins, allow_methods=["GET", "POST"])
    return Measured(Guard(app, address.names, address.origins), measures, is_ending)
