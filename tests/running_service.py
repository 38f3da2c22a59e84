"""The service of a model folder in a thread of this process, and a client that sends any bytes."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from graftwork.cli.ui import free_port
from graftwork.serving.http.limits import limits
from graftwork.serving.http.measures import Measures
from graftwork.serving.http.running import Address, guarded, is_ending, settings
from graftwork.serving.http.served import Served, Serving
from graftwork.serving.places import Found


@dataclass
class Service:
    port: int
    serving: Serving
    server: uvicorn.Server

    def sent(self, content: bytes, seconds: float = 20) -> Said:
        """What comes back on a connection of its own for these bytes, whatever they are."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            connection.sendall(content)
            return said(connection)

    def posted(
        self, body: bytes, kind: str = "image/jpeg", path: str = "/predict", **headers: str
    ) -> Said:
        return self.sent(request(self.port, body, kind, path, **headers))

    def got(self, path: str, **headers: str) -> Said:
        return self.sent(request(self.port, b"", "", path, "GET", **headers))


@dataclass
class Said:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def request(
    port: int, body: bytes, kind: str, path: str = "/predict", method: str = "POST", **headers: str
) -> bytes:
    sent = {"Host": f"127.0.0.1:{port}", "Content-Length": str(len(body))}
    sent |= {"Content-Type": kind} if kind else {}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}" for name, value in sent.items()]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode() + body


def said(connection: socket.socket) -> Said:
    """The next answer on a connection; status 0: it was closed without one."""
    with connection.makefile("rb") as stream:
        first = stream.readline()
        if not first:
            return Said(0, {}, b"")
        headers = {}
        while (line := stream.readline().decode("latin-1").strip()) != "":
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        body = stream.read(int(headers["content-length"])) if "content-length" in headers else b""
        return Said(int(first.split()[1]), headers, body)


@contextmanager
def service(
    folder: Path, kept: Path, *changes: str, origins: tuple[str, ...] = (), **more: Any
) -> Iterator[Service]:
    """In a thread, until the block ends."""
    admitted, measures, port = limits(["watch_seconds=0.1", *changes]), Measures(), free_port()
    serving = Serving(
        more.get("find", lambda: Found(folder, "folder")),
        lambda place: Served(place, kept, admitted, more.get("explanation")),
        admitted,
        measures,
    )
    address = Address("127.0.0.1", port, [f"127.0.0.1:{port}"], origins)
    pages = more.get("pages", lambda _: {})
    app = guarded(serving, address, admitted, measures, pages, lambda: is_ending(server))
    server = uvicorn.Server(uvicorn.Config(app, **settings(address, admitted)))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield Service(port, serving, server)
    finally:
        server.should_exit = True
        thread.join()
