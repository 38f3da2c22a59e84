"""Nearest neighbours: a head whose tensors are the training pictures themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graftwork.config.errors import check_range
from graftwork.models.base import Head
from graftwork.models.heads import unit

if TYPE_CHECKING:
    from torch import nn

BLOCK_BYTES = 64 << 20  # of cosines at a time


@dataclass(frozen=True)
class NearestNeighbours(Head):
    """The nearest pictures of a bank vote, nearer ones more (Wu et al. 2018; Caron et al. 2021).

    A neighbour counts exp(cosine / temperature). All that lie as near as the last one vote, too, so
    that no order of the bank decides. A share of every vote goes to all classes alike: otherwise a
    class without a neighbour would be impossible.
    """

    pictures: int  # in the bank
    neighbours: int  # that vote
    temperature: float  # of their weights, in units of the cosine
    smoothing: float  # share that goes to all classes alike, (0, 1)
    sharpness: float  # exponent of the shares

    def __post_init__(self) -> None:
        check_range("pictures", self.pictures, 1)
        check_range("neighbours", self.neighbours, 1, self.pictures)
        check_range("temperature", self.temperature, 0, low_open=True)
        check_range("smoothing", self.smoothing, 1e-6, 0.999)
        check_range("sharpness", self.sharpness, 0)

    @property
    def is_linear(self) -> bool:
        return False

    @property
    def learns(self) -> bool:
        return False

    @property
    def fixed(self) -> frozenset[str]:
        return frozenset({"bank", "labels", "centre"})

    def build(self, num_features: int, num_classes: int) -> nn.Module:
        from graftwork.models.network.head_modules import NeighboursModule

        return NeighboursModule(
            self.pictures, num_features, num_classes,
            neighbours=self.neighbours, temperature=self.temperature,
            smoothing=self.smoothing, sharpness=self.sharpness,
        )  # fmt: skip

    def logits(
        self, tensors: Mapping[str, np.ndarray], features: np.ndarray, num_classes: int
    ) -> np.ndarray:
        found = [
            self.votes(*near, num_classes) for near in nearest(tensors, features, self.neighbours)
        ]
        return np.concatenate([np.zeros((0, num_classes)), *found])

    def votes(self, cosines: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
        """float64 `[n, num_classes]` from cosines and labels of the nearest, see `nearest`."""
        last = cosines[:, self.neighbours - 1, None]
        weights = np.exp((cosines.astype(np.float64) - cosines[:, :1]) / self.temperature)
        weights = np.where(cosines >= last, weights, 0)
        row = np.arange(len(cosines))[:, None] * num_classes
        votes: np.ndarray = np.bincount(
            (row + labels).ravel(), weights.ravel(), len(cosines) * num_classes
        )
        votes = votes.reshape(len(cosines), num_classes)
        shares = votes / votes.sum(1, keepdims=True)
        smooth = shares * (1 - self.smoothing) + self.smoothing / num_classes
        return np.asarray(self.sharpness * np.log(smooth))


def nearest(
    tensors: Mapping[str, np.ndarray], features: np.ndarray, neighbours: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Cosines float32 `[m, k]` and labels `[m, k]` of the nearest of the bank, in falling order.

    k is the number of neighbours, or more where others lie as near as the last one. It yields a
    block of pictures at a time: all cosines to a large bank would fill the memory.
    """
    bank, labels = tensors["bank"], tensors["labels"]
    block = max(1, BLOCK_BYTES // (4 * len(bank)))
    for first in range(0, len(features), block):
        rows = features[first : first + block].astype(np.float32)
        cosines = unit(rows - tensors["centre"]) @ bank.T
        last = -np.partition(-cosines, neighbours - 1, axis=1)[:, neighbours - 1, None]
        most = int((cosines >= last).sum(1).max())
        found = np.sort(np.argpartition(-cosines, most - 1, axis=1)[:, :most], axis=1)
        near = np.take_along_axis(cosines, found, 1)
        order = np.argsort(-near, axis=1, kind="stable")
        yield np.take_along_axis(near, order, 1), labels[np.take_along_axis(found, order, 1)]
