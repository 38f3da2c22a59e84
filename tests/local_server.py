"""A web server on 127.0.0.1 that misbehaves as it is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """Serves `files`; `faults` are used up one a request.

    A fault is a status (503), a number of bytes after which the connection is cut (`"cut 1000"`),
    or `"no range"`: the whole file is sent although a part was asked for.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.types: dict[str, str] = {}
        self.faults: list[int | str] = []
        self.ranges: list[str | None] = []  # of every request
        self.url = ""


@contextmanager
def serving() -> Iterator[Server]:
    served = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served.ranges.append(self.headers.get("Range"))
            fault = served.faults.pop(0) if served.faults else ""
            body = served.files.get(self.path)
            if isinstance(fault, int) or body is None:
                self._empty(fault if isinstance(fault, int) else 404)
                return
            start = int((served.ranges[-1] or "bytes=0-")[6:-1]) if fault != "no range" else 0
            if start >= len(body):
                self._empty(416)
                return
            part = body[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.send_header("Content-Type", served.types.get(self.path, "text/html"))
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            self.wfile.write(part[: int(fault[4:])] if fault.startswith("cut") else part)
            self.close_connection = True

        def _empty(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield served
        finally:  # else a failing test would leave pytest waiting for the thread
            server.shutdown()
            thread.join()
