"""MLflow's own server on loopback, which can be killed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

from graftwork.storage.artifacts import Artifacts


@contextlib.contextmanager
def serving(artifacts: Artifacts, port: int) -> Iterator[Callable[[], None]]:
    """MLflow's server on loopback; gives what kills it by -9."""
    address = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", f"sqlite:///{artifacts.mlflow_db}",
              "--artifacts-destination", str(artifacts.mlflow_artifacts)]  # fmt: skip
    command = [sys.executable, "-m", "mlflow", "server", *address, *stores]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=artifacts.root, start_new_session=True, **quiet)

    def stop() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    try:
        _wait_for(f"http://127.0.0.1:{port}/health")
        yield stop
    finally:
        stop()


def _wait_for(url: str, seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            urllib.request.urlopen(url, timeout=5).close()
            return
        time.sleep(0.2)
    raise TimeoutError(url)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
