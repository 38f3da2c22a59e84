"""A store of runs that is locked, a server that is killed, a process that is killed while rows
wait: each row arrives, and once."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from faults.chaos.ground import Ground, Row
from faults.chaos.mlflow_server import free_port, serving
from tracked_experiment import experiment

from graftwork.recording import unsent
from graftwork.recording.mlflow_store import open_store
from graftwork.recording.opening import open_run
from graftwork.storage.artifacts import Artifacts

LOCKED = 25.0  # seconds: SQLite waits for 20
ROWS = 60


def rows(ground: Ground, kills: int) -> Iterator[Row]:
    yield locked(ground)
    yield from (server(ground, dies) for dies in (False, True))
    yield killed(ground, max(2, 2 * kills // 5))


def locked(ground: Ground) -> Row:
    """For longer than SQLite waits, while a run goes on."""
    artifacts = _new(ground)
    step = ground.random.randrange(ROWS)
    with _let_go(ground, lambda noted: _log(artifacts, None, noted, step)) as run:
        run.wait_for()
        with _exclusive(artifacts):
            run.go_on()
            time.sleep(LOCKED)
    unsent.send(artifacts)
    held = run.codes == [0] and _once(artifacts, range(ROWS))
    what = f"the store locked for {LOCKED:.0f} s: {ROWS} rows, none lost or twice"
    return Row(what, 1, int(held), stock="locked")


def server(ground: Ground, dies: bool) -> Row:
    """Killed by -9 while a run goes on, which ends, or is killed as well; started again later."""
    artifacts = _new(ground)
    step, port = ground.random.randrange(1, ROWS), free_port()
    uri = f"http://127.0.0.1:{port}"
    artifacts.params.write_text(yaml.safe_dump({"tracking": {"uri": uri}}))
    work = lambda wait: _log(artifacts, uri, wait, step, dies)  # noqa: E731
    with serving(artifacts, port) as stop, _let_go(ground, work) as run:
        run.wait_for()
        stop()
        run.go_on()
    with serving(artifacts, port):
        unsent.send(artifacts)
    codes = [-signal.SIGKILL] if dies else [0]
    held = run.codes == codes and _once(artifacts, range(ROWS))
    end = "and the run too" if dies else "and the run goes on"
    what = f"the server killed during a run, {end}: {ROWS} rows, none lost or twice"
    return Row(what, 1, int(held))


def killed(ground: Ground, kills: int) -> Row:
    """A run killed by -9 between any two rows, every other time while the store is locked."""
    held = 0
    for trial in range(kills):
        artifacts = _new(ground)
        step, lock = ground.random.randrange(ROWS), trial % 2

        def work() -> None:
            with pytest.MonkeyPatch.context() as patch:
                _give_up_soon(patch)
                run = open_run(experiment(), artifacts)  # noqa: B023
                kept = _exclusive(artifacts) if lock else contextlib.nullcontext()  # noqa: B023
                with kept:
                    for number in range(step + 1):  # noqa: B023
                        run.log_metrics({"loss": number / 7}, number)
                    os.kill(os.getpid(), signal.SIGKILL)

        ground.forked(work).wait()
        unsent.send(artifacts)
        held += _once(artifacts, range(step + 1))
    what = (
        "a run killed by -9 after any row, half of them with the store locked: no row lost or twice"
    )
    return Row(what, kills, held)


def _new(ground: Ground) -> Artifacts:
    """A project with an empty store. Its tables are made once: that takes a second or two."""
    first = Artifacts.at(ground.place)
    open_store(None, first)
    artifacts = Artifacts.at(ground.project())
    shutil.copy(first.mlflow_db, artifacts.mlflow_db)
    return artifacts


def _log(
    artifacts: Artifacts, uri: str | None, wait: Callable[[], None], step: int, dies: bool = False
) -> None:
    """Logs rows; before one of them it waits until the store is away."""
    run = open_run(experiment(uri=uri), artifacts)
    for number in range(ROWS):
        if number == step:
            wait()
        run.log_metrics({"loss": number / 7}, number)
    if dies:
        os.kill(os.getpid(), signal.SIGKILL)
    if uri is None:
        time.sleep(LOCKED / 4)  # the first row has waited for the store as long as SQLite does
    run.finish()


class _Held:
    """A run in a process of its own, held at one row."""

    def __init__(self, ground: Ground, work: Callable[[Callable[[], None]], None]) -> None:
        (self._here, told), (go, self._go) = os.pipe(), os.pipe()

        def wait() -> None:
            os.write(told, b"x")
            os.read(go, 1)

        self._forked = ground.forked(lambda: work(wait))
        self.codes: list[int] = []

    def wait_for(self) -> None:
        os.read(self._here, 1)

    def go_on(self) -> None:
        os.write(self._go, b"x")

    def end(self) -> None:
        self.codes = self._forked.wait()


@contextlib.contextmanager
def _let_go(ground: Ground, work: Callable[[Callable[[], None]], None]) -> Iterator[_Held]:
    run = _Held(ground, work)
    yield run
    run.end()


@contextlib.contextmanager
def _exclusive(artifacts: Artifacts) -> Iterator[None]:
    with closing(sqlite3.connect(artifacts.mlflow_db, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def _give_up_soon(patch: pytest.MonkeyPatch) -> None:
    """SQLite gives up after a moment instead of MLflow's 20 s."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    event.listen(Engine, "checkout", lambda connection, *_: connection.execute(
        "PRAGMA busy_timeout = 50"
    ))  # fmt: skip


def _once(artifacts: Artifacts, steps: range) -> bool:
    """Whether the store has each of these rows, once and as it was told."""
    with closing(sqlite3.connect(artifacts.mlflow_db)) as database:
        told = database.execute("SELECT step, value FROM metrics ORDER BY step").fetchall()
    wanted = [(step, step / 7) for step in steps]
    if told != wanted:
        print(f"  DIFFERS: {len(told)} rows of {len(wanted)}: {Path(artifacts.root).name}")
    return told == wanted
