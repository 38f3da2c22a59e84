"""Every two of several systems, on the same pictures: who is better, and is it more than luck?

Of one seed each, p is that of McNemar's exact test (1947, Psychometrika 12(2)): of the pictures
that one system alone recognises, half would be each one's by chance. Of several, pictures and seeds
are both drawn (graftwork.metrics.paired). Among all pairs p is adjusted by Holm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import NormalDist

import numpy as np

from graftwork.comparing.recorded import Recorded
from graftwork.config.errors import UserError
from graftwork.metrics.paired import LEVEL, Estimate, holm, mean_over
from graftwork.reporting.run_names import names

POWER = 0.8  # chance of telling a difference that is as large as it seems


@dataclass(frozen=True)
class System:
    """Runs that differ in their seed alone."""

    name: str
    runs: tuple[Recorded, ...]
    top1: Estimate

    @property
    def seeds(self) -> list[str]:
        return [run.seed for run in self.runs]

    def right(self, seeds: Sequence[str]) -> np.ndarray:
        """Which pictures were recognised, float `[seeds, pictures]`."""
        return np.stack([self.runs[self.seeds.index(s)].right for s in seeds]).astype(np.float64)


@dataclass(frozen=True)
class Pair:
    """Two systems on the seeds that both have; on all of each where they share none."""

    one: System
    other: System
    gain: Estimate  # of the first over the other, a share; p not adjusted
    p: float  # adjusted for all pairs
    needed: int | None  # test pictures that would tell it; None: it is told, or zero

    @property
    def is_told(self) -> bool:
        return self.p < LEVEL


def systems(runs: Sequence[Recorded], confidence: float) -> list[System]:
    """Runs by what they are, in the order in which they were named.

    Raises:
        UserError: they were tested on different pictures, or one of them was named twice.
    """
    _check(runs)
    groups: list[list[Recorded]] = []
    for run in runs:
        alike = (group for group in groups if group[0].settings == run.settings)
        # The same seed again, by other code perhaps, is another system.
        place = next((g for g in alike if run.seed not in {one.seed for one in g}), None)
        if place is None:
            groups.append(place := [])
        place.append(run)
    firsts = [group[0] for group in groups]
    called = names([run.settings for run in firsts], [run.run_id for run in firsts])
    return [
        System(name, tuple(group), _share(np.stack([r.right for r in group]), confidence))
        for name, group in zip(called, groups, strict=True)
    ]


def _share(right: np.ndarray, confidence: float) -> Estimate:
    """Of right answers; its interval, of a mean, ends where shares do."""
    found = mean_over(right, confidence)
    return replace(found, low=max(found.low, 0.0), high=min(found.high, 1.0))


def _check(runs: Sequence[Recorded]) -> None:
    first = runs[0]
    for run in runs[1:]:
        if run.pictures != first.pictures:
            raise UserError(
                f"RUN: {run.word} was tested on other pictures than {first.word} "
                f"({len(run.right)} and {len(first.right)}), or their classes differ. Only "
                "answers to the same pictures can be compared: same data, same dataset.splits.seed."
            )
    known: dict[str, str] = {}
    for run in runs:
        if (same := known.setdefault(run.run_id, run.word)) != run.word:
            raise UserError(f"RUN: {run.word} and {same} are one and the same run. Name others.")


def pairs(found: Sequence[System], confidence: float) -> list[Pair]:
    """Of every two, the first minus the second as they were named."""
    made = [_pair(one, other, confidence) for one, other in combinations(found, 2)]
    adjusted = holm([pair.p for pair in made])
    return [
        replace(pair, p=p, needed=None if p < LEVEL else pair.needed)
        for pair, p in zip(made, adjusted, strict=True)
    ]


def _pair(one: System, other: System, confidence: float) -> Pair:
    shared = [seed for seed in one.seeds if seed in other.seeds]
    if shared:
        table = one.right(shared) - other.right(shared)
    else:  # seeds that are nobody's like: each system's mean stands for it
        table = (one.right(one.seeds).mean(axis=0) - other.right(other.seeds).mean(axis=0))[None]
    gain = mean_over(table, confidence)
    single = len(one.runs) == len(other.runs) == 1
    p = mcnemar(int((table > 0).sum()), int((table < 0).sum())) if single else gain.p
    return Pair(one, other, gain, p, pictures_needed(table.mean(axis=0), confidence))


def mcnemar(only_one: int, only_other: int) -> float:
    """The exact two-sided p of so many pictures that one of two systems alone recognises."""
    from scipy.stats import binomtest

    both = only_one + only_other
    return float(binomtest(only_one, both).pvalue) if both else 1.0


def pictures_needed(differences: np.ndarray, confidence: float) -> int | None:
    """Test pictures with which a difference as large as this mean would be told.

    By the normal approximation: n = ((z_confidence + z_power) * deviation / mean)^2.

    Args:
        differences: by picture, `[n]`.
    """
    mean, deviation = float(differences.mean()), float(differences.std())
    if not mean:
        return None
    normal = NormalDist()
    z = normal.inv_cdf((1 + confidence) / 2) + normal.inv_cdf(POWER)
    return max(2, math.ceil((z * deviation / mean) ** 2))
