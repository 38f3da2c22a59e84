"""Sweeps by name: by six processes on a new store, and killed and started again."""

from __future__ import annotations

import csv
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from faults.chaos.ground import Command, Ground, Row, same

SETTINGS = (
    *("model=tiny_cnn", "dataset=folder", "trainer.limit_epochs=2", "trainer.checkpoint_steps=1"),
    *("trainer.batch_size=8", "evaluation.engine=eager", "evaluation.bootstrap_samples=100"),
    *("tracking.log_model=false", "transfer/start=random", "selection=random"),
)
SIX = ("transfer=from_scratch", "seed=1,2,3,4,5,6")
SEEDS = range(1, 13)
MANY = ("transfer=linear_probe,from_scratch", f"seed={','.join(map(str, SEEDS))}")
JOBS = 2 * len(SEEDS)
MEASURED = ("cost/", "finetune/seconds", "epoch_seconds", "seconds/")  # no two runs take as long
Numbers = dict[str, list[tuple[str, int, float]]]  # of each job: key, step, value


def rows(ground: Ground, kills: int) -> Iterator[Row]:
    yield six_processes(ground, 3 if kills >= 10 else 1)
    yield killed(ground, 3)


def six_processes(ground: Ground, tries: int) -> Row:
    """Six starts of a sweep at once, in a project without a store: its jobs, and their numbers."""
    wanted, held = _numbers(_alone(ground, SIX)), 0
    for _ in range(tries):
        project = ground.project()
        starts = [_start(ground, project, SIX) for _ in range(6)]
        codes = [start.wait() for start in starts]
        found = _numbers(project)
        good = [job for job, numbers in wanted.items() if found.get(job) == numbers]
        held += len(good) if codes == [0] * 6 and same(found, wanted) else 0
    return Row("six starts of one sweep at once on a new store: a job each, no row lost or twice",
               6 * tries, held, stock="six at once")  # fmt: skip


def killed(ground: Ground, kills: int) -> Row:
    """A sweep of many jobs, killed and started again until it ends."""
    alone = _alone(ground, MANY)
    wanted, project = {**_ranking(alone), **_numbers(alone)}, ground.project()
    bounds = sorted(ground.random.sample(range(1, JOBS - 1), kills))
    for jobs in bounds:
        start = _start(ground, project, MANY)
        start.kill_when(lambda: _finished(project) >= jobs, ground.random.uniform(0, 2))  # noqa: B023
    code = _start(ground, project, MANY).wait()
    found = {**_ranking(project), **_numbers(project)}
    equal = code == 0 and same(found, wanted)
    return Row(f"a sweep of {JOBS} jobs killed {kills} times and started again: each job once, the "
               "same ranking and numbers", JOBS, JOBS * equal)  # fmt: skip


def _alone(ground: Ground, jobs: tuple[str, ...]) -> Path:
    project = ground.project()
    assert _start(ground, project, jobs).wait() == 0
    return project


def _start(ground: Ground, project: Path, jobs: tuple[str, ...]) -> Command:
    words = ["sweep=six", *SETTINGS, f"dataset.path={ground.photos}", *jobs]
    return Command(["pipelines.experiment", *words], project)


def _finished(project: Path) -> int:
    return len(list(project.glob("runs/six/*/reports/metrics.json")))


def _ranking(project: Path) -> dict[str, object]:
    """What is no measurement of time, of every job."""
    with (project / "runs/six/ranking.csv").open() as file:
        found = list(csv.DictReader(file))
    left_out = {"seconds", "peak_mib", "run_id", "job"}
    return {
        f"ranked {row['differs']}": {key: row[key] for key in row if key not in left_out}
        for row in found
    }


def _numbers(project: Path) -> dict[str, object]:
    """Of every run that is no sweep's parent: how it ended, and all that it was told."""
    with closing(sqlite3.connect(project / "mlflow.db")) as database:
        told = database.execute(
            "SELECT runs.name, runs.run_uuid, runs.status, key, step, value FROM runs JOIN metrics "
            "USING (run_uuid) WHERE lifecycle_stage = 'active'"
        ).fetchall()
    found: dict[str, object] = {}
    runs = Counter(name for name, _ in {(name, run) for name, run, *_ in told})
    for name, count in runs.items():
        mine = [row for row in told if row[0] == name]
        numbers = sorted(row[3:] for row in mine if not row[3].startswith(MEASURED))
        found[name] = (count, {row[2] for row in mine}, numbers)
    return found
