"""A sweep's configurations: jobs that differ in their seed alone, taken together and compared.

A configuration is compared, picture by picture and seed by seed, with the one that has the strategy
of a baseline and is its like in all else, and with the one that the selection score puts first.
Nothing is chosen here: the test scores must be there (evaluation.test_in_sweeps=all). Where they
are not, the best alone is compared with, on the held-out pictures, which chose it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import numpy as np

from graftwork.metrics.paired import LEVEL, Estimate, holm, mean_over
from graftwork.selecting.luck import answers
from graftwork.storage.artifacts import Artifacts
from pipelines.ranking import Job, Ranking

SEED, STRATEGY = "seed=", "transfer="
BEST = "best"  # by the selection score
Own = tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """To the best configuration, or to the same one with the strategy of a baseline; of top-1."""

    baseline: str  # or BEST
    estimate: Estimate
    p: float  # adjusted for all comparisons with this baseline
    is_test: bool  # else of held-out pictures

    @property
    def verdict(self) -> str:
        side = "better than" if self.estimate.value > 0 else "worse than"
        return f"{side if self.p < LEVEL else 'like'} {self.baseline}"


@dataclass(frozen=True)
class Configuration:
    """Jobs that differ in their seed alone."""

    own: Own  # overrides that tell it from the others
    jobs: tuple[Job, ...]
    test: Estimate | None  # top-1 over pictures and seeds; None: not looked at, or other pictures
    held_out: Estimate | None  # likewise of the pictures that chose
    differences: tuple[Difference, ...] = ()
    is_best: bool = False

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
    def verdict(self) -> str:
        """What the adjusted p say, in words."""
        return ", ".join([BEST] * self.is_best + [one.verdict for one in self.differences])

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
    groups: dict[Own, list[Job]] = {}
    for job in ranking.jobs:
        if job.finished:
            own = tuple(part for part in job.own if not part.startswith(SEED))
            groups.setdefault(own, []).append(job)
    tests = _tables(groups, lambda artifacts: artifacts.predictions)
    chosen = _tables(groups, lambda artifacts: artifacts.held_out)
    found = [
        Configuration(own, tuple(jobs), _mean(tests.get(own)), _mean(chosen.get(own)))
        for own, jobs in groups.items()
    ]
    found.sort(key=lambda one: -1.0 if one.selection is None else -one.selection)
    families = [_family(name, tests, _with_strategy(name), is_test=True) for name in baselines]
    if found and found[0].selection is not None:
        found[0] = replace(found[0], is_best=True)
        best, is_test = found[0].own, len(tests) == len(groups)
        families.insert(0, _family(BEST, tests if is_test else chosen, lambda _: best, is_test))
    return [
        replace(one, differences=tuple(each[one.own] for each in families if one.own in each))
        for one in found
    ]


@dataclass(frozen=True)
class _Table:
    """Which test pictures were recognised, by seed."""

    seeds: tuple[str, ...]
    pictures: bytes  # digest of which they are
    right: np.ndarray  # [seeds, pictures], 0 or 1
    confidence: float

    def of(self, seeds: Sequence[str]) -> np.ndarray:
        return self.right[[self.seeds.index(seed) for seed in seeds]]


Tables = Mapping[Own, _Table]


def _tables(groups: Mapping[Own, Sequence[Job]], place: Callable[[Artifacts], Path]) -> Tables:
    """Without those of which a job has no answers, or not to the same pictures as the others."""
    tables = {own: _table(jobs, place) for own, jobs in groups.items()}
    return {own: table for own, table in tables.items() if table is not None}


def _table(jobs: Sequence[Job], place: Callable[[Artifacts], Path]) -> _Table | None:
    paths = [place(Artifacts.at(job.folder)) for job in jobs]
    if not all(path.is_file() for path in paths):
        return None
    found = [answers(path) for path in paths]
    if len({pictures for pictures, _ in found}) > 1 or len(found[0][1]) < 2:
        return None
    seeds = tuple("".join(o for o in job.own if o.startswith(SEED)) for job in jobs)
    right = np.stack([correct for _, correct in found]).astype(np.float64)
    return _Table(seeds, found[0][0], right, jobs[0].confidence)


def _mean(table: _Table | None) -> Estimate | None:
    """Of a share, which is never less than none and never more than all."""
    if table is None:
        return None
    found = mean_over(table.right, table.confidence)
    return replace(found, low=max(0.0, found.low), high=min(1.0, found.high))


def _family(
    baseline: str, tables: Tables, like: Callable[[Own], Own], is_test: bool
) -> dict[Own, Difference]:
    """Comparisons with one baseline, by configuration.

    Args:
        like: what a configuration is compared with.
    """
    family = {}
    for own, table in tables.items():
        other = tables.get(like(own))
        if other is None or table is other:
            continue
        if estimate := _difference(table, other):
            family[own] = estimate
    adjusted = holm([estimate.p for estimate in family.values()])
    return {
        own: Difference(baseline, estimate, p, is_test)
        for (own, estimate), p in zip(family.items(), adjusted, strict=True)
    }


def _with_strategy(strategy: str) -> Callable[[Own], Own]:
    chosen = f"{STRATEGY}{strategy}"
    return lambda own: tuple(chosen if part.startswith(STRATEGY) else part for part in own)


def _difference(one: _Table, other: _Table) -> Estimate | None:
    """Over the seeds that both have, on the same pictures."""
    seeds = [seed for seed in one.seeds if seed in other.seeds]
    if one.pictures != other.pictures or not seeds:
        return None
    return mean_over(one.of(seeds) - other.of(seeds), one.confidence)
