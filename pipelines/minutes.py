"""A grid that ends in time: `sweep.budget=30min`.

Heads on stored features first, which take seconds and say how good a network's features are. Then
every training up to a quarter of its epochs; of those that have come so far, the better half on to
half of them, and of these the better half to the end (successive halving, asynchronously: Li et al.
2020). Whatever stops is kept, and goes on bit by bit where it stopped.
"""

from __future__ import annotations

import csv
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper

from graftwork.config.errors import UserError
from graftwork.storage.artifacts import Artifacts
from pipelines.composed_once import composed_once
from pipelines.early_end import ENDS, SCORES, UNTIL
from pipelines.named_sweep import job_folder
from pipelines.optuna_sweeper import split
from pipelines.ranking import params_of, read

KEY = "sweep.budget="
UNITS = {"s": 1, "min": 60, "h": 3600}
JOBS = 0.95  # of the time; the rest is for the winner's test and the ranking
STOPS = (0.25, 0.5, 1.0)  # shares of a training after which it is compared with its like
UNKNOWN = 0.5  # top-1 that is expected of a network of which nothing is known


@dataclass
class Candidate:
    """A job, as far as it has come."""

    number: int
    overrides: list[str]
    root: Path
    network: str
    epochs: int
    over: bool = False  # nothing is left to do
    scores: dict[int, float] = field(default_factory=dict)  # held-out top-1 by epoch

    @property
    def done(self) -> int:
        """Epochs."""
        return max(self.scores, default=0)

    def stop(self, share: float) -> int:
        """The epoch after which it has come so far."""
        return max(1, round(share * self.epochs))

    def at(self, share: float) -> float | None:
        return self.scores.get(self.stop(share))

    @property
    def next_stop(self) -> int:
        return next((s for s in map(self.stop, STOPS) if s > self.done), self.epochs)

    def look(self) -> None:
        """Reads what its process has left."""
        artifacts = Artifacts.at(self.root)
        self.over = read(self.root / "job.json").get("status") in ("finished", "failed")
        if artifacts.history.is_file():
            with artifacts.history.open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
            told = [(row, name) for row in rows for name in SCORES if row.get(name)]
            self.scores = {int(row["epoch"]): float(row[name]) for row, name in told}


@dataclass(frozen=True)
class Forecast:
    """Seconds of a network's epochs, and of its heads, by what has been measured."""

    measured: list[tuple[str, int, float]]  # network, epochs, seconds

    def seconds(self, candidate: Candidate, epochs: int) -> float:
        """0 where nothing was measured: trying it is what tells."""
        alike = [m for m in self.measured if (m[1] > 0) == (epochs > 0)]
        own = [m for m in alike if m[0] == candidate.network] or alike
        return median(m[2] / max(1, m[1]) for m in own) * max(1, epochs) if own else 0.0


def chosen(
    candidates: Sequence[Candidate], forecast: Forecast, left: float
) -> tuple[Candidate, int] | None:
    """Which job comes next, and up to which epoch; None: all are done.

    Args:
        left: seconds.
    """
    waiting = [c for c in candidates if not c.over]
    if not waiting:
        return None
    if heads := [c for c in waiting if not c.epochs]:
        return min(heads, key=lambda c: forecast.seconds(c, 0)), 0
    best = max(waiting, key=lambda c: (c.scores.get(c.done, 0.0), c.done))
    found = _promoted(waiting, candidates)
    if found is None and (new := [c for c in waiting if not c.done]):
        found = max(new, key=lambda c: _expected(c, candidates) / _to_stop(c, forecast))
    found = found or best
    spent, end = _to_stop(found, forecast), forecast.seconds(best, best.epochs - best.done)
    if spent + end > left and best.done:  # nothing else can be compared in time
        found = best
    whole = found is best and spent + end > left
    return found, found.epochs if whole else found.next_stop


def _to_stop(candidate: Candidate, forecast: Forecast) -> float:
    return forecast.seconds(candidate, candidate.next_stop - candidate.done) or 1e-9


def _promoted(waiting: Sequence[Candidate], all_: Sequence[Candidate]) -> Candidate | None:
    """The best of those that wait at a stop, if it is of the better half of all that came there."""
    for share in reversed(STOPS[:-1]):
        came = sorted((s for c in all_ if (s := c.at(share)) is not None), reverse=True)
        here = [c for c in waiting if c.done == c.stop(share) and c.at(share) is not None]
        if here and len(came) > 1:
            best = max(here, key=lambda c: c.scores[c.done])
            if best.scores[best.done] >= came[len(came) // 2 - 1]:
                return best
    return None


def _expected(candidate: Candidate, candidates: Sequence[Candidate]) -> float:
    """Top-1 of a training that has not begun: what a probe says of its network."""
    alike = (c for c in candidates if c.network == candidate.network)
    return max((score for c in alike if (score := c.scores.get(0)) is not None), default=UNKNOWN)


class MinutesSweeper(Sweeper):
    """Jobs one after the other, in this process."""

    def __init__(self, seconds: float) -> None:
        self._ends = psutil.Process().create_time() + JOBS * seconds

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        context = composed_once(hydra_context)
        self._config, self._compose = config, context.config_loader.load_sweep_config
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        fixed, swept = split(arguments)
        pairs = [[f"{key}={value}" for value in values] for key, values in swept.items()]
        candidates = [self._candidate(n, [*fixed, *own]) for n, own in enumerate(product(*pairs))]
        os.environ[ENDS] = str(self._ends)
        forecast = Forecast(recorded(Path.cwd() / "runs"))
        while (left := self._ends - time.time()) > 0:
            if (found := chosen(candidates, forecast, left)) is None:
                break
            job, until = found
            os.environ[UNTIL] = str(until) if until < job.epochs else ""
            begun, before = time.monotonic(), job.done
            self._launcher.launch([job.overrides], initial_job_idx=job.number)
            job.look()
            if job.done > before or not job.epochs:
                took = time.monotonic() - begun
                forecast.measured.append((job.network, job.done - before, took))
            elif not job.over and time.time() < self._ends:
                job.over = True  # it is left to another process, or says nothing of its epochs

    def _candidate(self, number: int, overrides: list[str]) -> Candidate:
        config = self._compose(self._config, overrides)
        root = Path(str(config.hydra.sweep.dir)) / job_folder(config.hydra.job.override_dirname)
        epochs = min(config.transfer.epochs, config.trainer.limit_epochs or config.transfer.epochs)
        found = Candidate(number, overrides, root, str(config.model.name), epochs)
        found.look()
        return found


def recorded(runs: Path) -> list[tuple[str, int, float]]:
    """What fine-tuning took in runs of this project that have ended."""
    found = []
    for path in runs.glob("*/*/costs/finetune.json"):
        params = params_of(Artifacts.at(path.parents[1]))
        if "model.name" in params and (seconds := read(path).get("seconds")):
            told = (params.get(key, "") for key in ("transfer.epochs", "trainer.limit_epochs"))
            epochs = min(int(number) for number in told if number.isdigit())
            found.append((params["model.name"], epochs, float(seconds)))
    return found


def arguments_of(arguments: Sequence[str]) -> list[str]:
    """The command line with Hydra's own words in the place of `sweep.budget=30min`.

    Raises:
        UserError: it is no time, or the sweep has no name, under which it could go on.
    """
    said = [word.removeprefix(KEY) for word in arguments if word.startswith(KEY)]
    if not said:
        return list(arguments)
    found = re.fullmatch(rf"(\d+(?:\.\d+)?)({'|'.join(UNITS)})", said[-1])
    if not found or float(found[1]) <= 0:
        raise UserError(f"sweep.budget: '{said[-1]}' is no time. Write 90s, 30min or 2h.")
    if not any(word.startswith("sweep=") for word in arguments):
        raise UserError("sweep.budget: what is left goes on by name. Add sweep=NAME.")
    if any(re.match(r"hydra/(sweeper|launcher)=(?!(basic|grid)$)", word) for word in arguments):
        raise UserError(
            "sweep.budget: jobs are chosen one after the other, by no other sweeper or launcher. "
            "Leave hydra/sweeper and hydra/launcher out."
        )
    seconds = float(found[1]) * UNITS[found[2]]
    rest = [word for word in arguments if not word.startswith((KEY, "hydra/sweeper="))]
    return [*rest, "hydra/sweeper=minutes", f"hydra.sweeper.seconds={seconds:g}"]
