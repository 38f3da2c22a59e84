"""Stages under DVC: killed, asked to end, started twice, fed what is damaged. None is recorded as
done that is not, and none is written by two."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
from cloned_project import cloned, probe_of, run
from faults.chaos.dvc_stage import STAGE, Stage
from faults.chaos.ground import Ground, Row, same

TRAINS = (
    *("transfer=from_scratch", "selection=random", "trainer.batch_size=4", "trainer=default"),
    *("trainer.limit_epochs=6", "trainer.checkpoint_steps=1"),
)


def rows(ground: Ground, kills: int) -> Iterator[Row]:
    yield from injections(ground, 1 if kills >= 10 else 4)
    yield trained(ground, 1 + (kills > 50))


def injections(ground: Ground, share: int) -> Iterator[Row]:
    """Twenty on the stage of a probe, which takes some seconds."""
    project = cloned(ground.new("cloned"), *probe_of(ground.photos))
    run(project, "dvc", "repro")
    stage = Stage(project, ground.random)
    assert stage.wanted and stage.wanted_record
    kinds: list[tuple[str, Callable[[], bool], int]] = [
        ("dvc killed by -9 and started again at once", stage.dvc_killed, 6),
        ("two dvc repro at once", stage.twice, 2),
        ("a stage started by hand beside dvc repro", stage.beside, 2),
        ("SIGTERM or -9 to a stage", stage.ended, 6),
        ("a cached object damaged, and checked out", stage.damaged, 4),
    ]
    for what, trial, most in kinds:
        count = max(1, most // share)
        held = sum(trial() for _ in range(count))
        assert stage.again()
        yield Row(f"{what}: the stage is recorded and written right", count, held)


def trained(ground: Ground, kills: int) -> Row:
    """A training by `dvc repro`, killed by -9 with DVC and started again."""
    words = [word for word in probe_of(ground.photos) if not word.startswith("transfer")]
    project = cloned(ground.new("cloned"), *words, *TRAINS)
    stage = Stage(project, ground.random)
    run(project, "dvc", "repro", "-s", "download", "prepare", "extract_features")
    for _ in range(kills):
        dvc = stage.start("repro", "-s", STAGE)
        steps = ground.random.randrange(1, 12)
        seen: set[Path] = set()
        while dvc.poll() is None and len(seen) < steps:
            seen |= set(project.glob("store/training/*/*/**/*.json"))
            time.sleep(0.01)
        family = psutil.Process(dvc.pid).children(recursive=True) if dvc.poll() is None else []
        for process in (dvc, *family):
            process.kill()
        dvc.communicate()
    assert stage.done("repro", "-s", STAGE)[0] == 0
    found, runs = stage.written(), _runs(project)
    assert stage.done("repro", "-f", "-s", STAGE)[0] == 0
    held = same(found, stage.written()) and runs == [1, 0]
    what = "dvc repro killed by -9 in training, started again: same tensors, one run, no row twice"
    return Row(what, kills, kills * held)


def _runs(project: Path) -> list[int]:
    """MLflow's runs, and rows that one has twice."""
    with closing(sqlite3.connect(project / "mlflow.db")) as database:
        (runs,) = database.execute("SELECT count(*) FROM runs").fetchone()
        twice = database.execute(
            "SELECT key, step FROM metrics GROUP BY run_uuid, key, step HAVING count(*) > 1"
        ).fetchall()
    return [runs, len(twice)]
