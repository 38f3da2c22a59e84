"""One file over HTTP(S): resumed by Range requests, retried with growing pauses."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import requests

from graftwork.config.errors import UserError
from graftwork.data.sources.fetching import without_secrets
from graftwork.process.progress import bytes_bar

CHUNK = 1 << 18  # bytes
ATTEMPTS = 5  # in a row without a new byte; then the download is given up
BACKOFF = 1.0  # seconds before the second attempt; doubles with each
LONGEST_PAUSE = 60.0  # seconds, even where the server asks for more
TIMEOUT = (15, 60)  # seconds: to connect, between two bytes
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})

OFFLINE = (
    "Check the network and the proxy (HTTPS_PROXY), then run the same command again: it continues "
    "where it stopped. Offline: put the file there yourself and name it with "
    "_target_: graftwork.data.sources.file.LocalFile."
)


class _Interrupted(Exception):
    """Worth another attempt."""

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause  # seconds that the server asks for


def download(url: str, path: Path, size: int | None) -> None:
    """Brings a URL's bytes to `path`, continuing what already lies there.

    Proxies, certificates and .netrc count as they do for every client (HTTPS_PROXY,
    REQUESTS_CA_BUNDLE).

    Args:
        size: bytes, where they are known: more than these are never written.

    Raises:
        UserError: the server refuses, or cannot be reached in `ATTEMPTS` attempts. What has
            arrived stays at `path`, so that the next call continues.
    """
    failures, furthest = 0, _length(path)
    with bytes_bar(path.name[-40:], size) as seen:
        while size is None or _length(path) < size:
            try:
                _attempt(url, path, size, seen)
                if size is None:
                    return
                if _length(path) < size:
                    raise _Interrupted(f"{_length(path)} of {size} bytes arrived")
            except _Interrupted as interruption:
                # Only bytes never had before count: a server may begin again for ever.
                failures = 1 if _length(path) > furthest else failures + 1
                furthest = max(furthest, _length(path))
                if failures >= ATTEMPTS:
                    raise _unreachable(url, str(interruption)) from interruption
                time.sleep(min(max(interruption.pause, BACKOFF * 2**failures / 2), LONGEST_PAUSE))


def _attempt(url: str, path: Path, size: int | None, seen: Callable[[int], None]) -> None:
    done = _length(path)
    # identity: a compressed transfer would make byte positions meaningless
    headers = {"Accept-Encoding": "identity"}
    if done:
        headers["Range"] = f"bytes={done}-"
    try:
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            _check_status(url, response)
            continued = response.status_code == 206 and _starts_at(response, done)
            if done and not continued:
                path.unlink()  # the server begins again, or does not know our position
                if response.status_code != 200:
                    raise _Interrupted("the server could not continue")
                done = 0
            _write(response, path, done, size, seen)
    except requests.RequestException as error:  # an OSError too: it must come first
        raise _Interrupted(_reason(error)) from error
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}. Is there space left?") from error


def _write(
    response: requests.Response,
    path: Path,
    done: int,
    size: int | None,
    seen: Callable[[int], None],
) -> None:
    with path.open("ab") as file:
        for chunk in response.iter_content(CHUNK):
            done += len(chunk)
            if size is not None and done > size:
                file.close()
                path.unlink()
                raise UserError(
                    f"{without_secrets(response.url)}: more than the pinned {size} bytes came; "
                    "stopped, nothing was kept. The published file is another one."
                )
            file.write(chunk)
            seen(done)


def _check_status(url: str, response: requests.Response) -> None:
    status = response.status_code
    if status in RETRIED:
        raise _Interrupted(f"status {status} {response.reason}", _asked_pause(response))
    if status != 416 and status >= 400:
        raise _unreachable(url, f"status {status} {response.reason}")


def _asked_pause(response: requests.Response) -> float:
    asked = response.headers.get("Retry-After", "")
    return float(asked) if asked.isdigit() else 0.0


def _starts_at(response: requests.Response, position: int) -> bool:
    return response.headers.get("Content-Range", "").startswith(f"bytes {position}-")


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _reason(error: Exception) -> str:
    """The innermost cause: requests wraps it in three others, each repeating the URL."""
    reason: BaseException = error
    while getattr(reason, "reason", None) or reason.__cause__ or reason.__context__:
        inner = getattr(reason, "reason", None) or reason.__cause__ or reason.__context__
        if not isinstance(inner, BaseException):
            break
        reason = inner
    return str(reason) or type(reason).__name__


def _unreachable(url: str, reason: str) -> UserError:
    return UserError(f"{without_secrets(url)} could not be fetched: {reason}. {OFFLINE}")
