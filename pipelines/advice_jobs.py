"""The experiments of the adviser: each a job in its folder, found again when it starts anew."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import NoReturn

from hydra import initialize_config_dir
from omegaconf import OmegaConf

from graftwork.advising.rules import PROBE, Way
from graftwork.experiment import Experiment
from graftwork.process.stopping import status_of
from graftwork.storage.artifacts import Artifacts
from pipelines import sweep
from pipelines.composing import composed
from pipelines.named_sweep import finished_earlier, job_folder
from pipelines.overrides import CONF
from pipelines.ranking import Job, jobs, read

TAIL, LEAST_TAIL = 0.03, 4.0  # of the budget, s: kept back for the advice itself
# Seconds that a photo takes, and a multiply-accumulate of its answer, of each epoch: a first guess,
# which what is measured scales.
A_PHOTO, A_MAC = 5e-3, 8e-11
# Photos times their pixels below which converting a network takes longer than it saves: 100 photos
# at 224 px. Measured on one core with efficientnet_lite0, mobilenetv2 and resnet18, 48 to 224 px.
FEW = 5e6
# Of what a first job took, about so much is taken by a further one, which finds libraries loaded: a
# third to a half for probes in the tables of `python -m benchmarks advise`; until one has shown it.
FURTHER = 0.5
OWN_ENGINE = ("extraction.engine=", "extraction=")


@dataclass
class Clock:
    """What is left of the budget; s. Jobs that an earlier start finished are paid from it, too."""

    budget: float
    earlier: float = 0.0
    begun: float = field(default_factory=time.time)  # s since 1970
    now: Callable[[], float] = time.time

    @property
    def spent(self) -> float:
        return self.earlier + self.now() - self.begun

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
    """A job that finished: a head on stored features, or a whole training."""

    way: Way
    experiment: Experiment
    artifacts: Artifacts
    job: Job
    score: float  # top-1 of held-out pictures
    took: float  # s, with what surrounds its stages

    @property
    def latency(self) -> float:
        """ms a photo, one at a time; NaN: not measured."""
        cost = read(self.artifacts.metrics).get("cost", {})
        return float(cost.get("latency_ms") or "nan")

    def stage(self, name: str) -> float:
        """Seconds of one stage."""
        return float(read(self.artifacts.cost(name)).get("seconds", 0.0))

    @cached_property
    def at_work(self) -> float:
        """Seconds of what grows with photos, arithmetic and epochs."""
        return self.stage("extract_features" if self.way.strategy == PROBE else "finetune")


@dataclass
class Desk:
    """Where the jobs are done."""

    folder: Path
    shared: Path
    overrides: Sequence[str]  # that all have in common
    clock: Clock
    photos: int = 0  # that are not for the test
    done: dict[Way, Measured] = field(default_factory=dict)
    failed: dict[Way, str] = field(default_factory=dict)  # and why

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

    def run(self, way: Way) -> Measured | None:
        """Does a job, unless it was done; None where it failed, or time is up.

        Nothing is fitted again with the held-out pictures: what is recommended will be.
        """
        more = ["tracking.log_model=false", "trainer.refit=never", *engine(self, way)]
        experiment, chosen, params = self.compose(way, *more)
        name = job_folder(",".join([str(way.size), *chosen[len(self.overrides) :]]))
        artifacts = Artifacts.at(self.folder / name, self.shared)
        artifacts.root.mkdir(parents=True, exist_ok=True)
        earlier = finished_earlier(artifacts, params)
        number, begun = len(self.done) + len(self.failed), self.clock.spent
        aside, score = redirect_stdout(StringIO()), None  # tables that stages print of themselves
        with self.clock.until(self.clock.budget), aside:
            score = sweep.member(artifacts, self.folder, number, chosen, params, _conduct)
        (job,) = jobs(artifacts.root)
        self.clock.earlier += job.seconds if earlier else 0.0
        took = max(job.seconds, self.clock.spent - begun)
        if score is not None:
            self.done[way] = Measured(way, experiment, artifacts, job, score, took)
        elif job.status != "killed":
            self.failed[way] = job.error or "it has no selection score"
        return self.done.get(way)


def forecast(way: Way, guesses: Mapping[Way, float], done: Sequence[Measured]) -> float:
    """Seconds of a job.

    What surrounds the work is paid by each, what is loaded by the first alone. The work is as much
    more than its guess as it last was.

    Args:
        guesses: seconds of the work of all ways, before any was measured; see `work`.
    """
    further = FURTHER if len(done) == 1 else 1.0
    around = further * min((one.took - one.at_work for one in done), default=0.0)
    alike = [one for one in done if (one.way.strategy == PROBE) == (way.strategy == PROBE)]
    scale = further * alike[-1].at_work / guesses[alike[-1].way] if alike else 1.0
    return around + scale * guesses[way]


def engine(desk: Desk, way: Way) -> list[str]:
    """An override, where few small photos are not worth converting a network."""
    own = any(word.startswith(OWN_ENGINE) for word in desk.overrides)
    return ["extraction.engine=torch"] if desk.photos * way.size**2 < FEW and not own else []


def work(photos: int, macs: float, epochs: int) -> float:
    """Seconds of a first guess. All pass forward once, which is a third of an epoch."""
    return photos * (A_PHOTO + A_MAC * macs) * (epochs + 1 / 3)


def _conduct(artifacts: Artifacts) -> None:
    from pipelines.experiment import conduct

    conduct(artifacts)
