"""One photo's answer, as files, tables and pages have it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graftwork.process.terminal import visible


@dataclass(frozen=True)
class Answer:
    """What the model says of a photo."""

    path: str  # as it was named
    sha256: str  # of the file
    probabilities: np.ndarray  # float32 [num_classes]

    @property
    def key(self) -> str:
        """The path as it is written down: what no line and no encoding could hold, escaped."""
        return visible(self.path)

    def likeliest(self, count: int) -> list[int]:
        """Labels of the largest probabilities, the first label first where they are equal."""
        order = np.argsort(-self.probabilities, kind="stable")[:count]
        return [int(label) for label in order]


@dataclass(frozen=True)
class Kept:
    """What an earlier start wrote of a photo."""

    key: str
    sha256: str
    predicted: str  # class name
    probability: float  # of it


def number(probability: np.float32) -> str:
    """The shortest decimal that is this very float32."""
    return str(probability)


def rounded(probabilities: np.ndarray, labels: Sequence[int]) -> list[float]:
    """Python's numbers that print as `number` does."""
    return [float(number(probabilities[label])) for label in labels]
