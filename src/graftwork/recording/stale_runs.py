"""Runs that say RUNNING though nobody works on them: their process was killed before it could tell.

A run is marked with the process that works on it. Whoever starts the next run of the same group
closes those whose process is gone; what another machine works on nobody can tell from here.
"""

from __future__ import annotations

import logging
import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from graftwork.process.terminal import visible
from graftwork.recording.finished_runs import opened

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

log = logging.getLogger(__name__)

WORKER = "graftwork.process"  # tag of a run: who works on it
CLOSED = "graftwork.closed"  # tag of one that was closed by another process
WHY = "its process had ended without a word"


def mark() -> str:
    """This process, told from all others of this machine, of earlier ones of its number too."""
    own = psutil.Process()
    return f"{_machine()} {own.pid} {own.create_time():.2f}"


def is_gone(worker: str) -> bool:
    """Whether it is sure that this process has ended.

    Args:
        worker: as `mark` gave it; another machine's is not known to be gone.
    """
    machine, *process = worker.rsplit(" ", 2)
    if machine != _machine() or len(process) != 2:
        return False
    try:
        pid, started = int(process[0]), float(process[1])
        return abs(psutil.Process(pid).create_time() - started) > 1
    except psutil.NoSuchProcess:
        return True
    except (ValueError, psutil.Error):
        return False


def stale(client: MlflowClient, group: str) -> list[Run]:
    """The runs of an experiment of MLflow that are RUNNING and whose process is gone."""
    running = client.search_runs([group], "attributes.status = 'RUNNING'", max_results=1000)
    return [run for run in running if is_gone(run.data.tags.get(WORKER, ""))]


def close_stale(client: MlflowClient, group: str) -> list[str]:
    """Marks them KILLED, which is what happened. A store that does not answer is no obstacle.

    Returns:
        the names of the runs that were closed.
    """
    closed = []
    with suppress(Exception):  # whatever a store, a server or SQLAlchemy may raise
        for run in stale(client, group):
            client.set_tag(run.info.run_id, CLOSED, WHY)
            client.set_terminated(run.info.run_id, "KILLED")
            closed.append(run.info.run_name or run.info.run_id)
    for name in closed:
        log.info("run %s was left RUNNING and is closed as KILLED: %s", visible(name), WHY)
    return closed


def of_project(root: Path, *, close: bool) -> list[str]:
    """The names of such runs in the store of a project, which are closed where that is wanted.

    Raises:
        UserError: there is no store, or it cannot be used.
    """
    client, groups = opened(root)
    found = [run.info.run_name for group in groups.values() for run in stale(client, group)]
    if close:
        for group in groups.values():
            close_stale(client, group)
    return found


def _machine() -> str:
    """The machine, and of a container its own numbering of processes."""
    space = ""
    with suppress(OSError):
        space = os.readlink("/proc/self/ns/pid")
    return f"{platform.node() or 'unknown'} {space or '-'}"
