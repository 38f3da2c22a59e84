"""How right a head is by the number of labels that it learnt from, on stored features.

Every part of the labels is drawn several times, as many of each class. The head chooses its own
constants on the part; then each fold of selection is answered by a head that saw what the part has
outside of it. All parts are thus judged on the same pictures, which no head had seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from graftwork.data.folds import NEVER, learnable
from graftwork.transfer.parts import Examples, HeadInit

SHARES = (0.05, 0.1, 0.2, 0.4, 0.7, 1.0)
DRAWS = 5  # of each share below 1

Told = Callable[[int], None]


@dataclass(frozen=True)
class Point:
    """One part of the labels."""

    labels: float  # that a head learnt from, mean over folds
    share: float  # of all
    right: np.ndarray  # bool [judged], each by a head that had not seen the picture


def learning_curve(head: HeadInit, examples: Examples, told: Told = lambda _: None) -> list[Point]:
    """Points by growing share, each draw one.

    Args:
        head: how heads are fitted.
        examples: all of them; `fold` says in which part of selection each is held out.
        told: how many points are done.
    """
    found: list[Point] = []
    for share in SHARES:
        for draw in range(DRAWS if share < 1 else 1):
            rows = part(examples.labels, share, [examples.seed, draw])
            if len(np.unique(examples.labels[rows])) > 1:
                found.append(_point(head, examples, rows, share))
            told(len(found))
    return found


def part(labels: np.ndarray, share: float, seed: list[int]) -> np.ndarray:
    """Rows of so large a part, sorted: as many of each class as its share, one at least."""
    generator = np.random.default_rng(seed)
    chosen = []
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        chosen.append(members[: max(1, round(share * len(members)))])
    return np.sort(np.concatenate(chosen))


def _point(head: HeadInit, examples: Examples, rows: np.ndarray, share: float) -> Point:
    inside = np.zeros(len(examples.labels), bool)
    inside[rows] = True
    known = examples.without(~inside)
    fixed = head.fit(replace(known, fold=learnable(known.fold, known.labels))).fixed
    said = np.full(len(examples.labels), -1)
    learnt = []
    for out, _ in examples.parts():
        rest = examples.without(~inside | out)
        learnt.append(len(rest.labels))
        if len(np.unique(rest.labels)) > 1:  # else nothing can be learnt, and nothing is right
            alone = fixed.fit(replace(rest, fold=np.full(len(rest.labels), NEVER)))
            said[out] = alone.logits(examples.features[out]).argmax(axis=1)
    judged = examples.fold != NEVER
    return Point(float(np.mean(learnt)), share, (said == examples.labels)[judged])
