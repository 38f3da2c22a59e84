"""Where benchmarks run: the project's data and weights, a store that starts empty."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from graftwork.experiment import Experiment
from graftwork.storage.artifacts import Artifacts
from pipelines.params import write

PROJECT = Path(__file__).parents[1]
# Overrides of a training without features: there is no start to come back to.
NEW_HEAD = ("transfer/head_init=as_built", "transfer.trained_shares=[1.0]")


@dataclass(frozen=True)
class Workplace:
    """A folder like the project's, sharing what `prepare` reads and writes and nothing else."""

    folder: Path

    @classmethod
    def at(cls, folder: Path) -> Workplace:
        """Prepares the project's pictures if they are not, and links them."""
        from pipelines import download, prepare

        shared = Artifacts.at(folder, shared=PROJECT)
        experiment = parameters(folder)
        download.run(experiment, shared)
        prepare.run(experiment, shared)
        for part in ("data/raw", "data/weights", "store/decoded", "store/downloads"):
            link = folder / part
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(PROJECT / part)
        return cls(folder)

    @property
    def artifacts(self) -> Artifacts:
        return Artifacts.at(self.folder)

    def forget(self) -> None:
        """Features and converted networks go: the next experiment pays for its backbone."""
        for name in ("features", "networks"):
            shutil.rmtree(self.folder / "store" / name, ignore_errors=True)

    def run(self, *arguments: str) -> float:
        """Whole-process wall seconds of `python -m ...` here."""
        env = {**os.environ, "PYTHONPATH": str(PROJECT)}
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=self.folder,
            env=env,
            capture_output=True,
            text=True,
        )
        seconds = time.perf_counter() - start
        if done.returncode:
            raise SystemExit(f"{' '.join(arguments)}\n{done.stdout}\n{done.stderr}")
        return seconds


def parameters(folder: Path, *overrides: str) -> Experiment:
    """The experiment that these overrides make; its params.yaml is written to the folder."""
    write(folder / "params.yaml", overrides)
    return Experiment.from_file(folder / "params.yaml")


def alternating(repeats: int, *measured: Callable[[], float]) -> list[list[float]]:
    """Each function's results; one after the other, so that a slow minute hits all of them."""
    rounds = [[function() for function in measured] for _ in range(repeats)]
    return [list(column) for column in zip(*rounds, strict=True)]


def told(values: Sequence[float], digits: int = 1) -> str:
    """Median and range."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def ratio(left: Sequence[float], right: Sequence[float]) -> list[float]:
    """left / right, round by round."""
    return [a / b for a, b in zip(left, right, strict=True)]
