"""Optuna with pruning against a grid that is known in full: in what share of its seconds?

The grid is run once. Searches are replayed on it by the sweeper itself: a trial costs the seconds
that its job took, up to the epoch after which it was ended.
"""

from __future__ import annotations

import csv
import itertools
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import yaml
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from benchmarks.sweeping import Bench, Job, Say
from graftwork.storage.artifacts import Artifacts
from pipelines.early_end import SCORES
from pipelines.optuna_sweeper import OptunaSweeper
from pipelines.overrides import CONF
from pipelines.ranking import PRUNED, read, selection_score
from pipelines.search_study import judge

SHARED = (
    *("dataset=groceries", "model.input_size=64", "trainer.refit=never"),
    *("tracking.log_model=false", "evaluation.bootstrap_samples=100"),
)
BRIEFLY = ("transfer.epochs=3", "transfer.least_steps=0")
NETWORKS = ("efficientnet_lite0", "mobilenetv2")
HEADS = ("linear_probe", "ridge_probe", "svm_probe", "class_means")
TRAINED = ("lp_ft", "fine_tune", "l2_sp")
STEPS = ("0.003", "0.01", "0.03")
SEEDS = range(5)
NEAR, SHARE = 0.01, 0.25  # how near to the best, in at most what share of the grid's seconds
SEARCHES = {"tpe": "median", "random": "nop"}  # the second is what the first is held against


@dataclass(frozen=True)
class Known:
    """A job of the grid."""

    score: float  # selection top-1
    curve: dict[int, float]  # held-out top-1 by epoch; 0: the probe
    before: float  # seconds of the stages before fine-tuning
    tuning: float
    after: float

    def seconds(self, epoch: int | None = None) -> float:
        """Of all of it, or where it is ended after an epoch."""
        if epoch is None:
            return self.before + self.tuning + self.after
        return self.before + self.tuning * (1 + epoch) / (1 + max(self.curve))


Table = Mapping[frozenset[str], Known]  # by what tells a job from the others


def grid() -> list[Job]:
    """Every job."""
    found = []
    for network in NETWORKS:
        chosen = ("model", network)
        found += [Job("heads", SHARED, (chosen, ("transfer", head))) for head in HEADS]
        shared = (*SHARED, *BRIEFLY)
        for strategy, step in itertools.product(TRAINED, STEPS):
            own = (chosen, ("transfer", strategy), ("transfer.rates.step", step))
            found.append(Job("trained", shared, own))
    return found


def space() -> dict[str, Any]:
    """The same as a search space."""
    when = {"transfer": list(TRAINED)}
    return {
        "model": list(NETWORKS),
        "transfer": [*HEADS, *TRAINED],
        "transfer.rates.step": {"values": list(STEPS), "when": when},
    }


def known(root: Path) -> Known:
    """What a finished job left."""
    artifacts = Artifacts.at(root)
    with artifacts.history.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    told = [(int(row["epoch"]), row[name]) for row in rows for name in SCORES if row.get(name)]
    costs = {path.stem: read(path)["seconds"] for path in artifacts.cost("x").parent.glob("*.json")}
    tuning, after = costs.pop("finetune"), costs.pop("evaluate")
    score = selection_score(artifacts)
    assert score is not None
    curve = {epoch: float(value) for epoch, value in told}
    return Known(score, curve, sum(costs.values()), tuning, after)


class Replay:
    """A launcher whose jobs are those of the table."""

    def __init__(self, table: Table, folder: Path) -> None:
        self.seconds = 0.0
        self.way: list[tuple[float, float]] = []  # and scores, as they became known
        self._table, self._folder = table, folder

    def launch(self, jobs: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        return [self._job(job, initial_job_idx + place) for place, job in enumerate(jobs)]

    def _job(self, overrides: Sequence[str], number: int) -> JobReturn:
        job, place = self._table[frozenset(overrides)], self._folder / str(number)
        ask, ended = judge(self._folder, overrides), None
        for epoch, score in sorted(job.curve.items()):
            if ended is None and ask is not None and ask(score, epoch):
                ended = epoch
        self.seconds += job.seconds(ended)
        if ended is None:
            self.way.append((self.seconds, job.score))
        place.mkdir(parents=True)
        status = "finished" if ended is None else PRUNED
        (place / "job.json").write_text(json.dumps({"status": status}))
        told = JobReturn()
        told.return_value, told.status = job.score if ended is None else None, JobStatus.COMPLETED
        told.hydra_cfg = OmegaConf.create({"hydra": {"runtime": {"output_dir": str(place)}}})
        return told


class Replayed(OptunaSweeper):
    """The sweeper, on a table."""

    def on(self, launcher: Replay, folder: Path) -> None:
        self._launcher: Any = launcher
        self._folder = folder


def needed(table: Table, sampler: str, pruner: str, seed: int) -> float:
    """The share of the grid's seconds after which one near the best is known; inf: never."""
    best = max(job.score for job in table.values())
    total = sum(job.seconds() for job in table.values())
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "space.yaml").write_text(json.dumps(space()))
        settings = yaml.safe_load((CONF / "hydra/sweeper/optuna.yaml").read_text("utf-8"))
        settings |= {"space": str(folder / "space.yaml"), "trials": len(table)}
        settings |= {"seed": 1000 * seed, "sampler": sampler, "pruner": pruner}
        del settings["_target_"]
        sweeper = Replayed(**settings)
        replay = Replay(table, folder)
        sweeper.on(replay, folder)
        sweeper.sweep([])
    good = (seconds for seconds, score in replay.way if score >= best - NEAR)
    return next(good, float("inf")) / total


def searching(folder: Path, say: Say) -> int:
    """Runs the grid and replays searches on it. Returns the exit code: 1 where Optuna takes longer
    than it may."""
    places = Bench.at(folder).run(grid(), say)
    if None in places.values():
        return 1
    table = {
        frozenset(f"{key}={value}" for key, value in job.own): known(place)
        for job, place in places.items()
        if place is not None
    }
    for own, job in table.items():  # heads that are built, not computed, are asked by this probe
        network = next(word for word in own if word.startswith("model="))
        probe = table[frozenset((network, "transfer=linear_probe"))]
        job.curve.setdefault(0, probe.curve[0])
    total = sum(job.seconds() for job in table.values())
    best = max(table, key=lambda own: table[own].score)
    say(f"{len(table)} jobs, {total:.0f} s; best: {' '.join(sorted(best))}, "
        f"held-out top-1 {100 * table[best].score:.1f} %")  # fmt: skip
    shares = {}
    for sampler, pruner in SEARCHES.items():
        found = [needed(table, sampler, pruner, seed) for seed in SEEDS]
        shares[sampler] = median(found)
        each = ", ".join(f"{100 * share:.0f}" for share in found)
        say(f"{sampler}, {pruner}: within {100 * NEAR:g} point of it after "
            f"{100 * median(found):.0f} % of the seconds (seeds: {each})")  # fmt: skip
    return int(shares["tpe"] > SHARE)
