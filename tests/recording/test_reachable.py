"""A store that cannot be used is told in seconds, before any work."""

from __future__ import annotations

import os
import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_server import serving

from graftwork.config.errors import UserError
from graftwork.recording import reachable
from graftwork.recording.mlflow_store import open_store
from graftwork.recording.reachable import check_usable
from graftwork.storage.artifacts import Artifacts


@pytest.fixture
def silent() -> Iterator[str]:
    """A host whose port takes the call and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "postgresql://127.0.0.1:9/runs"])
def test_one_that_is_away_is_named_with_the_remedy(uri: str, tmp_path: Path) -> None:
    words = f"the store {uri} cannot be used: .*Connection refused.*Start the server.*uri=null"
    with pytest.raises(UserError, match=words):
        check_usable(uri, Artifacts.at(tmp_path))


def test_one_that_never_answers_is_not_waited_for(
    silent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reachable, "LIMIT", 0.1)
    begun = time.monotonic()
    with pytest.raises(UserError, match="timed out"):
        check_usable(f"http://{silent}", Artifacts.at(tmp_path))
    assert time.monotonic() - begun < 2
    check_usable(f"mysql+pymysql://{silent}/runs", Artifacts.at(tmp_path))  # its driver will see


def test_any_answer_but_a_servers_own_error_is_an_answer(tmp_path: Path) -> None:
    with serving() as server:
        server.faults = [401, 404, 502]
        for _ in range(2):
            check_usable(server.url, Artifacts.at(tmp_path))
        with pytest.raises(UserError, match="it answers with 502 Bad Gateway"):
            check_usable(f"{server.url}/", Artifacts.at(tmp_path))


@pytest.mark.parametrize("uri", ["postgresql://a:1,b:2/runs", "mssql+pyodbc://name_of_a_source"])
def test_addresses_that_only_their_driver_understands_pass(uri: str, tmp_path: Path) -> None:
    check_usable(uri, Artifacts.at(tmp_path))


@pytest.mark.parametrize("named", [True, False])
def test_a_file_that_is_no_store_or_may_not_be_written(
    named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifacts = Artifacts.at(tmp_path)
    uri = f"sqlite:///{artifacts.mlflow_db}" if named else None
    check_usable(uri, artifacts)  # absent: it is made
    with sqlite3.connect(artifacts.mlflow_db) as database:
        database.execute("CREATE TABLE a (b)")
    database.close()
    check_usable(uri, artifacts)
    with monkeypatch.context() as patched:
        patched.setattr(os, "access", lambda path, _: path != artifacts.mlflow_db)  # also as root
        with pytest.raises(UserError, match="mlflow.db may not be read and written. Make the file"):
            check_usable(uri, artifacts)
    artifacts.mlflow_db.write_bytes(b"no store at all" * 99)
    with pytest.raises(UserError, match="file is not a database.*move it away"):
        check_usable(uri, artifacts)


def test_mlflow_does_not_try_for_minutes(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").mkdir()
    begun = time.monotonic()
    with pytest.raises(UserError, match="unable to open database file"):
        open_store(f"sqlite:///{tmp_path}/mlflow.db", Artifacts.at(tmp_path))
    assert time.monotonic() - begun < 30  # on a busy machine; else 104
