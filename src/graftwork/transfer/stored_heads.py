"""What heads on stored features have in common: they are chosen, calibrated and fitted alike."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from graftwork.data.folds import NEVER
from graftwork.transfer.choosing import MANY, choose, few_threads, own_folds
from graftwork.transfer.head_init import L2Penalised
from graftwork.transfer.parts import Examples, FittedHead, HeadInit
from graftwork.transfer.probe_space import Rotated, rotated

if TYPE_CHECKING:
    from graftwork.models.base import Head

Fitted = tuple["Head", dict[str, np.ndarray]]  # and the tensors of its module


def nothing_said(examples: Examples, alternatives: int) -> list[np.ndarray]:
    """Scores `[n, num_classes]` of each, to be filled in where pictures are held out."""
    shape = len(examples.labels), examples.num_classes
    return [np.zeros(shape) for _ in range(alternatives)]


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
    def fitted(self, examples: Examples, sharpness: float) -> Fitted:
        """The head of a part that has nothing left to choose; its logits are sharpness x scores."""

    def scores(self, examples: Examples) -> list[np.ndarray]:
        """Of each alternative: of every picture by its like that had not seen it.

        Here by one fit for each fold; whoever knows a shorter way takes it.
        """
        found = nothing_said(examples, len(self.alternatives))
        for out, rest in examples.parts():
            for part, row in zip(self.alternatives, found, strict=True):
                head, tensors = part.fitted(rest, 1.0)
                row[out] = head.logits(tensors, examples.features[out], examples.num_classes)
        return found

    def fit(self, examples: Examples) -> FittedHead:
        with few_threads(examples.features.size):
            folds = own_folds(examples.fold, examples.labels, examples.seed)
            scores = self.scores(replace(examples, fold=folds))
            chosen = choose(scores, examples.labels, folds)
            fixed = self.alternatives[chosen.index]
            fit = fixed.fitted(examples, chosen.sharpness)
        told: Mapping[str, float] = {}
        if known := bool((examples.fold != NEVER).any()):
            told = {"cv_log_loss": chosen.log_loss, "cv_top1": chosen.top1}
        facts = {f"probe/{name}": value for name, value in {**fixed.constants, **told}.items()}
        held_out = chosen.probabilities if known else np.full_like(chosen.probabilities, np.nan)
        return FittedHead(*fit, examples.num_classes, facts, held_out, fixed)

    def cross_validated(self, examples: Examples) -> np.ndarray:
        with few_threads(examples.features.size):
            return choose(self.scores(examples), examples.labels, examples.fold).probabilities


@dataclass(frozen=True)
class Penalised(L2Penalised, StoredHead):
    """A linear head that is calibrated, as its loss knows no probabilities."""

    @property
    def alternatives(self) -> Sequence[Penalised]:
        tried = sorted(set(self.strengths), reverse=True)
        return [replace(self, strengths=[strength]) for strength in tried]

    @property
    def constants(self) -> dict[str, float]:
        return {"strength": self.strengths[0]}


def rotated_of(examples: Examples, standardise: float) -> Rotated:
    """The features as linear heads see them, kept for the next one where they are few."""
    features = examples.features
    return rotated(features, standardise, keep=features.size < MANY)
