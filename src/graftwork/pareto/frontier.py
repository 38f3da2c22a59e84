"""Pareto's frontier (1906): what nothing else beats in cost and score at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """A score with its interval, where that is known."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Candidate:
    """One run as it is compared: a score with its interval, and what it cost."""

    run_id: str
    name: str  # what tells it from the others
    value: float
    low: float | None  # of the score's interval
    high: float | None
    costs: dict[str, float]  # by word, see axes.py; what is not known is absent
    dataset: str
    data: str  # digest of what the score depends on; empty where it is not known
    started: int  # ms since 1970
    method: str  # of selection; empty where it is not known
    test: Measured | None  # stands beside and sorts nothing; None: not looked at
    doubtful: frozenset[str] = frozenset()  # costs taken while other programs kept it busy


def frontier(points: Sequence[tuple[float, float]], *, higher_is_better: bool) -> list[int]:
    """The points that no other one dominates, by rising cost.

    A point dominates another one if it is no worse in cost and score, and better in one of them:
    of several points that are equal in both, all stay.

    Args:
        points: (cost, score) each; no NaN.
        higher_is_better: whether the score should be high. Costs should be low.

    Returns:
        Positions in `points`.
    """
    sign = 1 if higher_is_better else -1
    order = sorted(range(len(points)), key=lambda i: (points[i][0], -sign * points[i][1]))
    kept: list[int] = []
    best = -math.inf
    for index in order:
        gain = sign * points[index][1]
        if gain > best or (kept and points[kept[-1]] == points[index]):
            kept.append(index)
            best = gain
    return kept


@dataclass(frozen=True)
class Compared:
    """Runs along one cost."""

    members: list[Candidate]  # the frontier, by rising cost
    dominated: list[Candidate]
    missing: list[Candidate]  # this cost is not known of them
    word: str

    def rival(self, candidate: Candidate) -> Candidate | None:
        """The best run that costs no more than this one, which it dominates."""
        if candidate not in self.dominated:
            return None
        cheaper = [m for m in self.members if m.costs[self.word] <= candidate.costs[self.word]]
        return cheaper[-1]


def compare(candidates: Sequence[Candidate], word: str, *, higher_is_better: bool) -> Compared:
    """The frontier of the runs whose cost is known."""
    known = [candidate for candidate in candidates if word in candidate.costs]
    points = [(candidate.costs[word], candidate.value) for candidate in known]
    on_it = frontier(points, higher_is_better=higher_is_better)
    return Compared(
        [known[index] for index in on_it],
        [candidate for index, candidate in enumerate(known) if index not in set(on_it)],
        [candidate for candidate in candidates if word not in candidate.costs],
        word,
    )


def apart(one: Candidate, other: Candidate) -> bool:
    """Whether the intervals of two scores lie apart; without intervals, whether scores differ."""
    if None in (one.low, one.high, other.low, other.high):
        return one.value != other.value
    assert one.low is not None and one.high is not None
    assert other.low is not None and other.high is not None
    return one.low > other.high or other.low > one.high


def by_data(candidates: Sequence[Candidate]) -> list[list[Candidate]]:
    """The runs of each data set, that with most runs first; of equals, that of the newest run.

    Scores on different pictures cannot be compared, whatever their data set is called.
    """
    groups: dict[tuple[str, str], list[Candidate]] = {}
    for candidate in candidates:
        # Without a digest, the name is all that is known.
        key = (candidate.data, "" if candidate.data else candidate.dataset)
        groups.setdefault(key, []).append(candidate)
    return sorted(groups.values(), key=lambda g: (-len(g), -max(c.started for c in g)))
