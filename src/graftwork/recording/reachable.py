"""Whether a store of runs can be used: asked before any work, in seconds, and without MLflow.

MLflow itself tries for minutes: a server that is away, and a file that cannot be read.
"""

from __future__ import annotations

import os
import socket
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

from graftwork.config.errors import UserError
from graftwork.recording.tracked_params import public
from graftwork.storage.artifacts import Artifacts

LIMIT = 5.0  # seconds: to connect, and as many to answer
PORTS = {"postgresql": 5432, "mysql": 3306}  # where the address names none


def store_uri(uri: str | None, artifacts: Artifacts) -> str:
    """The tracking URI: what the configuration names, or SQLite in the project's folder."""
    return uri or f"sqlite:///{artifacts.mlflow_db}"


def check_usable(uri: str | None, artifacts: Artifacts) -> None:
    """Looks at a server's answer, at the port of a database, or at the pages of a file.

    Args:
        uri: `tracking.uri`; None: the project's own store, which need not exist yet.

    Raises:
        UserError: it cannot be used.
    """
    if uri is not None and not uri.startswith("sqlite"):
        check_answers(uri)
        return
    path = artifacts.mlflow_db if uri is None else Path(uri.partition(":///")[2].partition("?")[0])
    address = store_uri(uri, artifacts)
    there = next(place for place in (path, *path.absolute().parents) if place.exists())
    if not os.access(there, os.R_OK | os.W_OK):
        raise unavailable(address, PermissionError(f"{there} may not be read and written"))
    _check_file(path, address)


def check_answers(uri: str) -> None:
    """Raises UserError where a server, or a database's port, is away. Files always answer."""
    try:
        if uri.startswith("http"):
            _ask(uri)
        elif (kind := uri.partition(":")[0].partition("+")[0]) in PORTS:
            place = urlsplit(uri)
            with suppress(ValueError):  # several hosts, which the driver understands
                address = place.hostname or "localhost", place.port or PORTS[kind]
                socket.create_connection(address, LIMIT).close()
    except OSError as error:  # as those of requests are
        raise unavailable(uri, error) from error


def check_readable(artifacts: Artifacts) -> None:
    """Raises UserError where the project's store is damaged.

    Reads about 0.6 GB/s. A flipped bit within a value is no damage that SQLite could notice.
    """
    _check_file(artifacts.mlflow_db, store_uri(None, artifacts))


def unavailable(address: str, error: BaseException) -> UserError:
    """The error for a store that does not answer, with the deepest reason that is known."""
    # MLflow and SQLAlchemy wrap what SQLite said.
    while inner := error.__cause__ or (None if error.__suppress_context__ else error.__context__):
        error = inner
    reason = public(str(error).strip().splitlines()[0] if str(error).strip() else repr(error))
    remedy = (
        "Start the server, or leave tracking.uri=null to record in the project's folder."
        if not address.startswith("sqlite")
        else "Make the file and its folder writable if they are not; if it is damaged, move it "
        "away: the next experiment begins a new one."
    )
    return UserError(
        f"tracking.uri: the store {public(address)} cannot be used: {reason.rstrip('.')}. {remedy}"
    )


def _ask(uri: str) -> None:
    import requests

    try:
        answer = requests.get(f"{uri.rstrip('/')}/health", timeout=LIMIT)
    except requests.exceptions.SSLError:
        return  # it answers, and MLflow has settings of its own for certificates
    if answer.status_code >= 500:
        raise requests.HTTPError(f"it answers with {answer.status_code} {answer.reason}")


def _check_file(path: Path, address: str) -> None:
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(path)) as connection:
            (state,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if state != "ok":
            raise sqlite3.DatabaseError(state)
    except sqlite3.Error as error:
        if is_busy(error):
            return
        raise unavailable(address, error) from error


def is_busy(error: BaseException | None) -> bool:
    """Whether another process is writing: that is no damage."""
    busy = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return getattr(error, "sqlite_errorcode", None) in busy
