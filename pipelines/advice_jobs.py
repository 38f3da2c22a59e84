"""The experiments of the adviser: each a job in its folder, found again when it starts anew."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import NoReturn

from hydra import initialize_config_dir
from omegaconf import OmegaConf

from graftwork.advising.rules import Training, Way
from graftwork.experiment import Experiment
from graftwork.process.stopping import status_of
from graftwork.storage.artifacts import Artifacts
from pipelines import sweep
from pipelines.composing import composed
from pipelines.named_sweep import finished_earlier, job_folder
from pipelines.overrides import CONF
from pipelines.ranking import Job, jobs, read

OVER = 1.05  # of the budget: what is under way then is stopped, and goes on at the next start
TAIL, LEAST_TAIL = 0.03, 8.0  # of the budget, s: kept back for the advice itself
# Seconds that training takes for a photo, and for a multiply-accumulate of its answer: a first
# guess, which recorded trainings scale.
A_PHOTO, A_MAC = 5e-3, 8e-11


@dataclass
class Clock:
    """What is left of the budget; s. Jobs that an earlier start finished are paid from it, too."""

    budget: float
    earlier: float = 0.0
    begun: float = field(default_factory=time.perf_counter)

    @property
    def spent(self) -> float:
        return self.earlier + time.perf_counter() - self.begun

    @property
    def end(self) -> float:
        """When nothing more should be at work but the advice itself."""
        return self.budget - max(LEAST_TAIL, TAIL * self.budget)

    @contextmanager
    def until(self, end: float) -> Iterator[None]:
        """What is under way when so much is spent is stopped as by SIGTERM, and left."""

        def ring(*_: object) -> NoReturn:
            raise SystemExit(128 + signal.SIGTERM)

        before = signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, max(0.1, end - self.spent))
        try:
            yield
        except SystemExit as error:
            if status_of(error) != "KILLED" or self.spent < end:
                raise  # somebody else's signal
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


@dataclass(frozen=True)
class Measured:
    """A job that finished. Epochs 0: a head on stored features."""

    training: Training
    experiment: Experiment
    artifacts: Artifacts
    job: Job
    score: float  # top-1 of held-out pictures

    @property
    def refit(self) -> int:
        """Epochs with the held-out pictures, too, after all others."""
        trainer = self.experiment.trainer
        return 0 if trainer.refit == "never" else trainer.refit_epochs

    @property
    def epoch(self) -> float:
        """Seconds of one, all that surrounds them dealt out to them."""
        return self.stage("finetune") / (self.training.epochs + self.refit)

    @cached_property
    def _cost(self) -> dict[str, float]:
        found: dict[str, float] = read(self.artifacts.metrics).get("cost", {})
        return found

    @property
    def latency(self) -> float:
        """ms a photo, one at a time; NaN: not measured."""
        return float(self._cost.get("latency_ms") or "nan")

    @property
    def guess(self) -> float:
        """Seconds of an epoch, before any was measured."""
        return (self.job.fitted or 0) * (A_PHOTO + A_MAC * (self._cost.get("macs") or 0))

    def stage(self, name: str) -> float:
        """Seconds of one stage."""
        return float(read(self.artifacts.cost(name)).get("seconds", 0.0))


@dataclass
class Desk:
    """Where the jobs are done."""

    folder: Path
    shared: Path
    overrides: Sequence[str]  # that all have in common
    clock: Clock
    done: dict[Training, Measured] = field(default_factory=dict)
    failed: dict[Training, str] = field(default_factory=dict)  # and why
    skipped: list[Way] = field(default_factory=list)  # probes for which there was no time

    def compose(self, way: Way, *more: str) -> tuple[Experiment, list[str], str]:
        """The experiment, what chooses it, and its parameters as YAML."""
        size = f"model.input_size={way.size or 'null'}"  # 0: its own
        chosen = [*self.overrides, f"model={way.network}", size, f"transfer={way.strategy}", *more]
        with initialize_config_dir(str(CONF), version_base=None):
            config = composed("config", chosen, whole=False)
        OmegaConf.resolve(config)
        params = OmegaConf.to_container(config)
        assert isinstance(params, dict)
        return Experiment.from_params(params), chosen, OmegaConf.to_yaml(config)  # type: ignore[arg-type]

    def run(self, training: Training, whole: int = 0) -> Measured | None:
        """Does a job, unless it was done; None where it failed, or time is up.

        Args:
            whole: epochs of the whole training, of which this is perhaps the first part.
        """
        short = training.epochs < whole
        more = ["tracking.log_model=false"]
        if short:
            more += [f"transfer.epochs={training.epochs}", "transfer.least_steps=0"]
            more += ["trainer.refit=never"]
        experiment, chosen, params = self.compose(training.way, *more)
        name = job_folder(",".join([str(training.way.size), *chosen[len(self.overrides) :]]))
        artifacts = Artifacts.at(self.folder / name, self.shared)
        artifacts.root.mkdir(parents=True, exist_ok=True)
        earlier = finished_earlier(artifacts, params)
        number = len(self.done) + len(self.failed)
        aside, score = redirect_stdout(StringIO()), None  # tables that stages print of themselves
        with self.clock.until(OVER * self.clock.budget), aside:
            score = sweep.member(artifacts, self.folder, number, chosen, params, _conduct)
        (job,) = jobs(artifacts.root)
        self.clock.earlier += job.seconds if earlier else 0.0
        if score is not None:
            self.done[training] = Measured(training, experiment, artifacts, job, score)
        elif job.status != "killed":
            self.failed[training] = job.error or "it has no selection score"
        return self.done.get(training)

    def of(self, strategy: str, epochs: int) -> list[Measured]:
        """The finished ones of a strategy."""
        wanted = strategy, epochs
        return [one for job, one in self.done.items() if (job.way.strategy, job.epochs) == wanted]


def forecast(training: Training, probe: Measured, done: Iterable[Measured], refit: int) -> float:
    """Seconds of a training, from what is recorded.

    An epoch takes as long as one of the same way did; before any has, what was guessed of it, times
    what the others took longer than their guesses. What surrounds it takes as long as it did for
    the probe of the same network.

    Args:
        refit: further epochs.
    """
    trained = [one for one in done if one.training.epochs]
    same = [one.epoch for one in trained if one.training.way == training.way]
    guess = probe.guess * max((one.epoch / one.guess for one in trained), default=1.0)
    around = sum(probe.stage(name) for name in ("download", "prepare", "evaluate"))
    return around + (training.epochs + refit) * (max(same) if same else guess)


def _conduct(artifacts: Artifacts) -> None:
    from pipelines.experiment import conduct

    conduct(artifacts)
