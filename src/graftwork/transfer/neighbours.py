"""Nearest neighbours vote: nothing is fitted but the bank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from graftwork.config.errors import check_range
from graftwork.models.heads import unit
from graftwork.models.neighbours import NearestNeighbours, nearest
from graftwork.transfer.parts import Examples
from graftwork.transfer.stored_heads import Fitted, StoredHead, nothing_said


@dataclass(frozen=True)
class Neighbours(StoredHead):
    """Weighted vote of the nearest training pictures (Wu et al. 2018; Caron et al. 2021)."""

    neighbours: list[int]  # how many vote, to choose from
    temperatures: list[float]  # of their weights, to choose from
    smoothing: float  # share of every vote that goes to all classes alike, (0, 1)
    centre: bool  # whether angles are seen from the mean of all pictures, or from zero

    def __post_init__(self) -> None:
        check_range("neighbours: how many", len(self.neighbours), 1)
        check_range("temperatures: how many", len(self.temperatures), 1)
        for count in self.neighbours:
            check_range("neighbours", count, 1)
        for temperature in self.temperatures:
            check_range("temperatures", temperature, 0, low_open=True)
        check_range("smoothing", self.smoothing, 1e-6, 0.999)

    @property
    def chooses(self) -> str:
        return (
            "how many neighbours vote and how much the nearer ones count: the most, and the most "
            "alike, within a standard error of the lowest log loss"
        )

    @property
    def no_start(self) -> str:
        return "nearest neighbours have nothing that steps could train"

    @property
    def alternatives(self) -> Sequence[Neighbours]:
        return [
            replace(self, neighbours=[count], temperatures=[temperature])
            for count in sorted(set(self.neighbours), reverse=True)
            for temperature in sorted(set(self.temperatures), reverse=True)
        ]

    @property
    def constants(self) -> dict[str, float]:
        return {"neighbours": self.neighbours[0], "temperature": self.temperatures[0]}

    def fitted(self, examples: Examples, sharpness: float) -> Fitted:
        bank = self._bank(examples.features, examples.labels)
        return self._head(len(examples.labels), sharpness), bank

    def scores(self, examples: Examples) -> list[np.ndarray]:
        """Each fold's neighbours are looked up once: all alternatives are votes of the same."""
        parts = self.alternatives
        found, classes = nothing_said(examples, len(parts)), examples.num_classes
        for held_out, rest in examples.parts():
            out, bank = np.flatnonzero(held_out), self._bank(rest.features, rest.labels)
            pictures, first = len(bank["labels"]), 0
            most = min(max(self.neighbours), pictures)
            for near in nearest(bank, examples.features[out], most):
                rows = out[first : first + len(near[0])]
                first += len(rows)
                for part, row in zip(parts, found, strict=True):
                    row[rows] = part._head(pictures, 1.0).votes(*near, classes)
        return found

    def _head(self, pictures: int, sharpness: float) -> NearestNeighbours:
        return NearestNeighbours(
            pictures=pictures,
            neighbours=min(self.neighbours[0], pictures),
            temperature=self.temperatures[0],
            smoothing=self.smoothing,
            sharpness=sharpness,
        )

    def _bank(self, features: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
        centre = np.zeros(features.shape[1], np.float32)
        if self.centre:
            centre = features.mean(0, dtype=np.float64).astype(np.float32)
        return {
            "bank": unit(features - centre),
            "labels": labels.astype(np.int64),
            "centre": centre,
        }
