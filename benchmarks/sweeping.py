"""Many experiments in a folder that is kept: what is finished is not run again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra import initialize_config_dir
from omegaconf import OmegaConf

from benchmarks.workplace import PROJECT
from graftwork.experiment import Experiment
from graftwork.reporting.numbers import duration
from pipelines.overrides import CONF

Say = Callable[[str], object]


@dataclass(frozen=True)
class Job:
    """One experiment: what it shares with the others of its sweep, and what is its own."""

    sweep: str  # folder of its sweeps, such as cat_dog/vgg19
    shared: tuple[str, ...]  # overrides
    own: tuple[tuple[str, str], ...]  # key and value of the swept overrides

    @property
    def overrides(self) -> tuple[str, ...]:
        return (*self.shared, *(f"{key}={value}" for key, value in self.own))


@dataclass(frozen=True)
class Bench:
    """A folder of jobs that shares data and store with the project."""

    folder: Path

    @classmethod
    def at(cls, folder: Path) -> Bench:
        """Makes the folder, or finds it as it was left."""
        folder = folder.absolute()
        for part in ("data/raw", "data/weights", "store"):
            (PROJECT / part).mkdir(parents=True, exist_ok=True)
            link = folder / part
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(PROJECT / part)
        return cls(folder)

    def run(self, jobs: Sequence[Job], say: Say) -> dict[Job, Path | None]:
        """Runs what is not finished; where each job's results are, None of those that failed.

        Raises:
            UserError: a job is no legal experiment; then nothing was run.
        """
        wanted = {job: params for job, params in zip(jobs, composed(jobs), strict=True)}
        found = {job: self.finished(job, params) for job, params in wanted.items()}
        missing = [job for job, path in found.items() if path is None]
        say(f"{len(jobs)} jobs, {len(jobs) - len(missing)} of them finished earlier")
        left, begun = len(missing), time.perf_counter()
        for sweep in sweeps(missing):
            say(f"{sweep[0].sweep}: {len(sweep)} jobs")
            self._sweep(sweep)
            left -= len(sweep)
            for job in sweep:
                found[job] = self.finished(job, wanted[job])
                if found[job] is None:
                    say(f"failed: {' '.join(job.overrides)}; see {self.folder / job.sweep}")
            seconds = (time.perf_counter() - begun) / (len(missing) - left)
            say(f"  {left} jobs to go, about {duration(left * seconds)}")
        return found

    def finished(self, job: Job, params: Mapping[str, Any]) -> Path | None:
        """The newest folder with this job's results, of the configuration as it is today."""
        for path in sorted(self.folder.glob(f"{job.sweep}/*/*/job.json"), reverse=True):
            place = path.parent
            if json.loads(path.read_text("utf-8"))["status"] == "finished" and (
                _params(place) == params
            ):
                return place
        return None

    def _sweep(self, jobs: Sequence[Job]) -> None:
        """Runs jobs whose own overrides are a full grid; of each, what is large is removed."""
        place = self.folder / jobs[0].sweep
        folder = place / f"{len(list(place.glob('*/'))) + 1:03d}"
        folder.mkdir(parents=True)
        command = [sys.executable, "-m", "pipelines.experiment", "-m", *jobs[0].shared]
        command += [f"{key}={','.join(values)}" for key, values in grid(jobs).items()]
        command += [f"hydra.sweep.dir={folder}"]
        with (folder / "log.txt").open("w") as log:
            subprocess.run(
                command, cwd=self.folder, env=environment(), stdout=log, stderr=log, check=False
            )
        for model in folder.glob("*/model"):
            shutil.rmtree(model)


def environment() -> dict[str, str]:
    """Of a process that runs this project's code in another folder."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(PROJECT / "src"), str(PROJECT)))}


def _params(place: Path) -> Any:
    path = place / "params.yaml"
    return yaml.load(path.read_text("utf-8"), _loader()) if path.is_file() else None


def _loader() -> Any:
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def composed(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """The parameters of every job; jobs that differ in their seed alone are composed once.

    Raises:
        UserError: one is no legal experiment.
    """
    with initialize_config_dir(str(CONF), version_base=None):
        known: dict[tuple[str, ...], dict[str, Any]] = {}
        return [_composed(job, known) for job in jobs]


def _composed(job: Job, known: dict[tuple[str, ...], dict[str, Any]]) -> dict[str, Any]:
    from pipelines.composing import composed as checked

    seeds = [line for line in job.overrides if line.startswith("seed=")]
    rest = tuple(line for line in job.overrides if line not in seeds)
    if rest not in known:
        params = OmegaConf.to_container(checked("config", list(rest), whole=False), resolve=True)
        assert isinstance(params, dict)
        known[rest] = {str(key): value for key, value in params.items()}
        Experiment.from_params(known[rest])
    seed = {"seed": int(seeds[-1].removeprefix("seed="))} if seeds else {}
    return known[rest] | seed


def sweeps(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """Jobs that one command can run: of the same sweep, and together a full grid.

    Those that miss the same values of the last key go together.
    """
    rows = defaultdict[tuple[Any, ...], list[Job]](list)
    for job in jobs:
        rows[job.sweep, job.shared, job.own[:-1]].append(job)
    groups = defaultdict[tuple[Any, ...], list[Job]](list)
    for (sweep, shared, own), row in rows.items():
        last = tuple(job.own[-1] for job in row)
        groups[sweep, shared, own[:-1], last].extend(row)
    yield from groups.values()


def grid(jobs: Sequence[Job]) -> dict[str, list[str]]:
    """The values of every key that jobs of one sweep differ in."""
    keys = [key for key, _ in jobs[0].own]
    values = [list(dict.fromkeys(job.own[place][1] for job in jobs)) for place in range(len(keys))]
    return dict(zip(keys, values, strict=True))
