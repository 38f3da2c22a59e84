"""A connection, as uvicorn speaks HTTP/1.1 on it, that neither waits for ever nor hangs up early.

uvicorn itself has no limit on the time that headers may take, and when it is told to end it closes
idle connections at once: also one on which a request is just coming in, which would be lost.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

LINGER = 1.0  # s that an idle connection stays when the service ends
LATE = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"connection: close\r\ncontent-length: 39\r\n\r\nThe headers were not there in due time."
)


class PatientProtocol(H11Protocol):
    """Gives headers a limited time, and idle connections a last one.

    Args:
        header_seconds: after the first byte of a request, or after connecting.
    """

    def __init__(self, *arguments: Any, header_seconds: float, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._seconds = header_seconds
        self._timer: asyncio.TimerHandle | None = None
        self._begun = False  # a request's first bytes are there

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_answering:
            self._stop_waiting()
        else:
            self._begun = True
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The service ends: what is being answered is answered, the rest has a moment left."""
        if self._is_answering:
            super().shutdown()
        else:
            self.loop.call_later(LINGER, self._end)

    def _end(self) -> None:
        if not self.transport.is_closing():
            super().shutdown()

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        if self._timer is None and not self.transport.is_closing():
            self._timer = self.loop.call_later(self._seconds, self._give_up)

    def _stop_waiting(self) -> None:
        self._begun = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if not self._is_answering and not self.transport.is_closing():
            # Else it has had its answer, or has said nothing yet: a browser's spare connection.
            if self._begun and self.conn.their_state is h11.IDLE:
                self.transport.write(LATE)
            self.transport.close()
