"""What came of all photos, in the memory of a few: counts by class, first rows, extremes."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

from graftwork.predicting.rows import Answer, Kept

FIRST = 10  # rows in the terminal
EACH = 8  # surest and least sure photos of a class on the page


@dataclass
class OfClass:
    """Of the photos that were given one class."""

    count: int = 0
    total: float = 0.0  # of their probabilities
    # Heaps of (probability or its negative, order, path), at most EACH.
    surest: list[tuple[float, int, str]] = field(default_factory=list)
    least: list[tuple[float, int, str]] = field(default_factory=list)


class Tally:
    """Filled while answers come.

    Attributes:
        first: answers, at most FIRST.
        by_class: in the model's order.
        unread: path and reason of photos without an answer.
        kept: how many answers an earlier start gave.
        answered: how many there are, those among them.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.first: list[Answer] = []
        self.by_class = {name: OfClass() for name in classes}
        self.unread: list[tuple[str, str]] = []
        self.kept = self.answered = 0
        self._classes = list(classes)

    def add(self, answer: Answer) -> str:
        """Takes in an answer. Returns the name of its class."""
        if len(self.first) < FIRST:
            self.first.append(answer)
        label = answer.likeliest(1)[0]
        self._count(self._classes[label], float(answer.probabilities[label]), answer.path)
        return self._classes[label]

    def add_kept(self, path: str, kept: Kept) -> None:
        """Takes in what an earlier start said of a photo."""
        self.kept += 1
        self._count(kept.predicted, kept.probability, path)

    def _count(self, name: str, probability: float, path: str) -> None:
        of, order = self.by_class[name], -self.answered  # of equal ones the first stay
        self.answered += 1
        of.count += 1
        of.total += probability
        for heap, rank in ((of.surest, probability), (of.least, -probability)):
            heapq.heappush(heap, (rank, order, path))
            if len(heap) > EACH:
                heapq.heappop(heap)
