"""Stock MLflow under the faults of `make chaos`: its own client on a SQLite store.

python -m benchmarks.stock_mlflow FILE    # writes k of n by injection, as JSON
"""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import mlflow
import mlflow.store.tracking.sqlalchemy_store  # once, before the processes part

from benchmarks.stock_forks import ended, forked

ROWS = 60
LOCKED = 25.0  # seconds: SQLite waits for 20


def log(store: Path, rows: int = ROWS, pause: float = 0.0) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{store}")
    mlflow.set_experiment("stock")
    with mlflow.start_run():
        for step in range(rows):
            mlflow.log_metric("loss", step / 7, step)
            time.sleep(pause)


def at_once(place: Path, tries: int) -> tuple[int, str]:
    """Six processes on a store that is not there yet: those that ended well, with all rows."""
    held = broken = 0
    for number in range(tries):
        store = place / f"{number}.db"
        codes = ended([forked(lambda: log(store))[0] for _ in range(6)], 240)  # noqa: B023
        rows = _rows(store)
        held += codes.count(0) if rows >= ROWS * codes.count(0) else 0
        broken += ended(forked(lambda: log(store, 1)), 240) != [0]  # noqa: B023
    return held, f"{broken} of {tries} stores stayed broken" if broken else ""


def locked(place: Path) -> int:
    """A run goes on while the store is locked for longer than SQLite waits."""
    store = place / "locked.db"
    assert ended(forked(lambda: log(store, 1))) == [0]
    pids = forked(lambda: log(store, pause=0.05))
    while _rows(store) < 5:
        time.sleep(0.05)
    with closing(sqlite3.connect(store, isolation_level=None, timeout=60)) as other:
        other.execute("BEGIN EXCLUSIVE")
        time.sleep(LOCKED)
        other.execute("ROLLBACK")
    return int(ended(pids, 240) == [0] and _rows(store) == ROWS + 1)


def _rows(store: Path) -> int:
    try:
        with closing(sqlite3.connect(store)) as database:
            return int(database.execute("SELECT count(*) FROM metrics").fetchone()[0])
    except sqlite3.Error:  # no table yet
        return 0


def measured() -> dict[str, Any]:
    """By the name of each injection: trials, and those that ended as they should."""
    found = dict[str, Any]()
    with tempfile.TemporaryDirectory(prefix="stock-") as folder:
        begun = time.monotonic()
        held, note = at_once(Path(folder), 3)
        seconds = round(time.monotonic() - begun)
        found["six at once"] = {"trials": 18, "held": held, "seconds": seconds, "note": note}
        begun = time.monotonic()
        found["locked"] = {"trials": 1, "held": locked(Path(folder)), "note": ""}
        found["locked"]["seconds"] = round(time.monotonic() - begun)
    return found


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(measured(), indent=1) + "\n")
