"""`graftwork ui`: MLflow's pages for this machine alone."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from graftwork.cli.ui_guard import NAMES, TIED
from graftwork.config.errors import UserError, check_range
from graftwork.process.stopping import stop_orderly
from graftwork.recording.mlflow_store import check_recorded
from graftwork.recording.reachable import check_readable
from graftwork.storage.artifacts import Artifacts

HOST = "127.0.0.1"


def serve(root: Path, port: int) -> None:
    """Shows the runs of the project in `root` until Ctrl-C.

    Raises:
        UserError: there are no runs yet, their store is damaged, or another program has the port.
    """
    artifacts = Artifacts.at(root)
    check_recorded(artifacts)
    check_readable(artifacts)
    check_free(port)
    print(f"MLflow on http://{HOST}:{port} (Ctrl-C ends it)", flush=True)
    # A group of its own: the server has processes of its own, and all shall end together; the pipe
    # tells them when this process was killed (see ui_guard).
    server = subprocess.Popen(
        command(artifacts, port),
        env={**environment(port), TIED: "yes"},
        start_new_session=True,
        stdin=subprocess.PIPE,
    )
    stop_orderly()
    try:
        code = server.wait()
    finally:
        _end(server)
    if code:
        raise SystemExit(code)


def _end(server: subprocess.Popen[bytes]) -> None:
    """Asks the server's processes to end; after 5 s they are ended."""
    with suppress(ProcessLookupError, subprocess.TimeoutExpired):
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(5)
        time.sleep(0.5)  # its children, whom we cannot wait for
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()
    if server.stdin is not None:
        server.stdin.close()


def command(artifacts: Artifacts, port: int) -> list[str]:
    """MLflow's server behind graftwork.cli.ui_guard, which answers only to exact names and origins.

    Its own defaults admit `Host: 10.evil.com`, through which a page anywhere could read the runs
    (DNS rebinding).
    """
    names = _names(port)
    store = f"sqlite:///{artifacts.mlflow_db}"
    return [
        *(sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port)),
        *("--app-name", "graftwork", "--backend-store-uri", store, "--registry-store-uri", store),
        *("--artifacts-destination", artifacts.mlflow_artifacts.as_uri()),
        *("--allowed-hosts", ",".join(names)),
        *("--cors-allowed-origins", ",".join(f"http://{name}" for name in names)),
        *("--x-frame-options", "DENY", "--workers", "1"),
        *("--uvicorn-opts", "--log-level warning"),  # not a line for every request
    ]


def environment(port: int) -> dict[str, str]:
    """The server starts no jobs and unpickles nothing."""
    return {
        **os.environ,
        NAMES: ",".join(_names(port)),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
    }


def _names(port: int) -> list[str]:
    return [f"localhost:{port}", f"{HOST}:{port}"]


def check_free(port: int, host: str = HOST) -> None:
    """Raises UserError where another program has the port, or a host is none of this machine."""
    check_range("--port", port, 1024, 65535)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except socket.gaierror as error:
            raise UserError(f"--host: '{host}' is no address of this machine.") from error
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise UserError(f"--host: {host} is no address of this machine.") from error
            raise UserError(
                f"--port: {port} is taken by another program. Free: {free_port()}."
            ) from error


def free_port() -> int:
    """A port that nobody has, now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
