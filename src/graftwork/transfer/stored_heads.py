"""What heads on stored features have in common: they are chosen, calibrated and fitted alike."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from graftwork.config.errors import check_range
from graftwork.data.folds import NEVER
from graftwork.transfer.choosing import choose, few_threads, own_folds
from graftwork.transfer.parts import FittedHead, HeadInit

if TYPE_CHECKING:
    from graftwork.models.base import Head

Fitted = tuple["Head", dict[str, np.ndarray]]  # and the tensors of its module


@dataclass(frozen=True)
class StoredHead(HeadInit):
    """A head that says how sure it is because pictures that were held out told it."""

    @property
    def needs_features(self) -> bool:
        return True

    @property
    @abstractmethod
    def alternatives(self) -> Sequence[StoredHead]:
        """Parts with nothing left to choose, the most cautious first."""

    @property
    @abstractmethod
    def constants(self) -> dict[str, float]:
        """What is worth reporting of a part that has nothing left to choose."""

    @abstractmethod
    def fitted(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        num_classes: int,
        sharpness: float,
        seed: int,
    ) -> Fitted:
        """The head of a part that has nothing left to choose; its logits are sharpness x scores."""

    def scores(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        num_classes: int,
        fold: np.ndarray,
        seed: int,
    ) -> list[np.ndarray]:
        """Of each alternative: of every picture by its like that had not seen it.

        Here by one fit for each fold; whoever knows a shorter way takes it.
        """
        found = [np.zeros((len(labels), num_classes)) for _ in self.alternatives]
        for which in np.unique(fold[fold != NEVER]):
            out = fold == which
            rest = features[~out], labels[~out]
            for part, row in zip(self.alternatives, found, strict=True):
                head, tensors = part.fitted(*rest, num_classes, 1.0, seed)
                row[out] = head.logits(tensors, features[out], num_classes)
        return found

    def fit(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        num_classes: int,
        fold: np.ndarray,
        seed: int,
    ) -> FittedHead:
        with few_threads(features.size):
            folds = own_folds(fold, labels, seed)
            scores = self.scores(features, labels, num_classes, folds, seed)
            chosen = choose(scores, labels, folds)
            fixed = self.alternatives[chosen.index]
            fit = fixed.fitted(features, labels, num_classes, chosen.sharpness, seed)
        told: Mapping[str, float] = {}
        if known := bool((fold != NEVER).any()):
            told = {"cv_log_loss": chosen.log_loss, "cv_top1": chosen.top1}
        facts = {f"probe/{name}": value for name, value in {**fixed.constants, **told}.items()}
        held_out = chosen.probabilities if known else np.full_like(chosen.probabilities, np.nan)
        return FittedHead(*fit, num_classes, facts, held_out, fixed)

    def cross_validated(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        num_classes: int,
        fold: np.ndarray,
        seed: int,
    ) -> np.ndarray:
        with few_threads(features.size):
            scores = self.scores(features, labels, num_classes, fold, seed)
            return choose(scores, labels, fold).probabilities


@dataclass(frozen=True)
class Penalised(StoredHead):
    """A linear head whose weights have an L2 penalty."""

    strengths: list[float]  # L2 penalties to choose from, for features of mean squared length 1
    standardise: float  # features are divided by deviation ** this: 0 not at all, 1 fully

    def __post_init__(self) -> None:
        check_range("strengths: how many", len(self.strengths), 1)
        for strength in self.strengths:
            check_range("strengths", strength, 0, low_open=True)
        check_range("standardise", self.standardise, 0, 1)

    @property
    def chooses(self) -> str:
        return "the head's penalty: the strongest within a standard error of the lowest log loss"

    @property
    def alternatives(self) -> Sequence[Penalised]:
        tried = sorted(set(self.strengths), reverse=True)
        return [replace(self, strengths=[strength]) for strength in tried]

    @property
    def constants(self) -> dict[str, float]:
        return {"strength": self.strengths[0]}
