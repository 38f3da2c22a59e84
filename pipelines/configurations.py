"""A sweep's configurations: jobs that differ in their seed alone, taken together and compared.

A configuration is compared, picture by picture and seed by seed, with the one that has the strategy
of a baseline and is its like in all else. Nothing is chosen here: the test scores must be there
(evaluation.test_in_sweeps=all).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from graftwork.metrics.paired import Estimate, holm, mean_over
from graftwork.selecting.luck import answers
from graftwork.storage.artifacts import Artifacts
from pipelines.ranking import Job, Ranking

SEED, STRATEGY = "seed=", "transfer="


@dataclass(frozen=True)
class Difference:
    """To the same configuration with the strategy of a baseline; of test top-1."""

    baseline: str
    estimate: Estimate
    p: float  # adjusted for all comparisons with this baseline


@dataclass(frozen=True)
class Configuration:
    """Jobs that differ in their seed alone."""

    own: tuple[str, ...]  # overrides that tell it from the others
    jobs: tuple[Job, ...]
    test: Estimate | None  # top-1 over pictures and seeds; None: not looked at, or other pictures
    differences: tuple[Difference, ...] = ()

    @property
    def differs(self) -> str:
        return " ".join(self.own) or "(nothing)"

    @property
    def selection(self) -> float | None:
        """Mean selection score; None unless every seed has one."""
        scores = [job.score for job in self.jobs if job.score is not None]
        return fmean(scores) if scores and len(scores) == len(self.jobs) else None

    @property
    def selection_range(self) -> tuple[float, float] | None:
        """The smallest and the largest of the seeds."""
        scores = [job.score for job in self.jobs if job.score is not None]
        return (min(scores), max(scores)) if scores else None

    @property
    def seconds(self) -> float:
        """Mean wall clock of a job."""
        return fmean(job.seconds for job in self.jobs)

    @property
    def trained(self) -> int | None:
        """Parameters that training moves."""
        return self.jobs[0].trained


def configurations(ranking: Ranking, baselines: Sequence[str]) -> list[Configuration]:
    """All of them, by mean selection score; those without one come last.

    Args:
        ranking: of jobs on the same data.
        baselines: names of strategies.
    """
    groups: dict[tuple[str, ...], list[Job]] = {}
    for job in ranking.jobs:
        if job.finished:
            own = tuple(part for part in job.own if not part.startswith(SEED))
            groups.setdefault(own, []).append(job)
    tables = {own: _table(jobs) for own, jobs in groups.items()}
    compared = _compared(tables, baselines)
    found = []
    for own, jobs in groups.items():
        table = tables[own]
        test = None if table is None else mean_over(table.right, jobs[0].confidence)
        found.append(Configuration(own, tuple(jobs), test, tuple(compared.get(own, ()))))
    return sorted(found, key=lambda one: -1.0 if one.selection is None else -one.selection)


@dataclass(frozen=True)
class _Table:
    """Which test pictures were recognised, by seed."""

    seeds: tuple[str, ...]
    pictures: bytes  # digest of which they are
    right: np.ndarray  # [seeds, pictures], 0 or 1
    confidence: float

    def of(self, seeds: Sequence[str]) -> np.ndarray:
        return self.right[[self.seeds.index(seed) for seed in seeds]]


def _table(jobs: Sequence[Job]) -> _Table | None:
    """None where a job has no predictions, or not of the same pictures as the others."""
    paths = [Artifacts.at(job.folder).predictions for job in jobs]
    if not all(path.is_file() for path in paths):
        return None
    found = [answers(path) for path in paths]
    if len({pictures for pictures, _ in found}) > 1 or len(found[0][1]) < 2:
        return None
    seeds = tuple("".join(o for o in job.own if o.startswith(SEED)) for job in jobs)
    right = np.stack([correct for _, correct in found]).astype(np.float64)
    return _Table(seeds, found[0][0], right, jobs[0].confidence)


def _compared(
    tables: dict[tuple[str, ...], _Table | None], baselines: Sequence[str]
) -> dict[tuple[str, ...], list[Difference]]:
    """Differences by configuration; each baseline is a family of comparisons of its own."""
    found: dict[tuple[str, ...], list[Difference]] = {}
    for baseline in baselines:
        family = {}
        for own, table in tables.items():
            other = tables.get(_with_strategy(own, baseline))
            if table is None or other is None or table is other:
                continue
            if estimate := _difference(table, other):
                family[own] = estimate
        adjusted = holm([estimate.p for estimate in family.values()])
        for (own, estimate), p in zip(family.items(), adjusted, strict=True):
            found.setdefault(own, []).append(Difference(baseline, estimate, p))
    return found


def _with_strategy(own: tuple[str, ...], strategy: str) -> tuple[str, ...]:
    return tuple(f"{STRATEGY}{strategy}" if part.startswith(STRATEGY) else part for part in own)


def _difference(one: _Table, other: _Table) -> Estimate | None:
    """Over the seeds that both have, on the same pictures."""
    seeds = [seed for seed in one.seeds if seed in other.seeds]
    if one.pictures != other.pictures or not seeds:
        return None
    return mean_over(one.of(seeds) - other.of(seeds), one.confidence)
