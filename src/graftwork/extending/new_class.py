"""A class more: a new head on the features of the model's own backbone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from graftwork.data.folds import learnable, stratified
from graftwork.metrics.paired import Estimate, mean_over
from graftwork.models.base import Head
from graftwork.transfer.choosing import OWN_FOLDS
from graftwork.transfer.head_init import ConvergedProbe, L2Penalised
from graftwork.transfer.parts import Examples, FittedHead, HeadInit

# Of a head that was never computed, but trained: conf/transfer/head_init/converged_probe.yaml.
OTHERWISE = ConvergedProbe(strengths=[1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7], standardise=0.5)


@dataclass(frozen=True)
class Labelled:
    """Pictures as the backbone sees them, and what they are."""

    features: np.ndarray  # float32 [n, num_features]
    labels: np.ndarray  # integers [n]


@dataclass(frozen=True)
class Before:
    """The head that is there."""

    head: Head
    tensors: dict[str, np.ndarray]
    num_classes: int

    def right(self, seen: Labelled) -> np.ndarray:
        """Booleans `[n]`."""
        logits = self.head.logits(self.tensors, seen.features, self.num_classes)
        return np.asarray(logits.argmax(1) == seen.labels)


@dataclass(frozen=True)
class Compared:
    """Top-1 on the test pictures of the old classes; what is called the new class is wrong."""

    before: float
    after: float
    difference: Estimate
    called_new: int  # of them
    pictures: int


def part_for(head_init: HeadInit, training: dict[str, Any]) -> HeadInit:
    """What computes the new head: what computed the old one, else the converged probe.

    A penalty that the run chose stays: single pictures at random, which is all that is held out
    here, would speak for too weak a one.

    Args:
        training: of the model's contract.
    """
    part = head_init if head_init.needs_features else OTHERWISE
    if isinstance(part, L2Penalised) and "strength" in training:
        return replace(part, strengths=[float(training["strength"])])
    return part


def fitted(part: HeadInit, examples: Labelled, num_classes: int, seed: int) -> FittedHead:
    """The head of all pictures; each was held out once, by a fifth of its class."""
    labels = examples.labels
    fold = learnable(stratified(labels, OWN_FOLDS, seed), labels)
    return part.fit(Examples(examples.features, labels, num_classes, fold, seed))


def recall(head: FittedHead, labels: np.ndarray, label: int) -> tuple[float, int] | None:
    """Of a class, by heads that had not seen the picture, and of how many; None: of none."""
    known = (labels == label) & ~np.isnan(head.held_out).any(1)
    if not known.any():
        return None
    return float((head.held_out[known].argmax(1) == label).mean()), int(known.sum())


def compared(
    before: Before, head: FittedHead, test: Labelled, confidence: float
) -> Compared | None:
    """What the old classes lose or gain, picture by picture; None with fewer than two."""
    if len(test.labels) < 2:
        return None
    said = head.logits(test.features).argmax(1)
    was, now = before.right(test), said == test.labels
    difference = mean_over((now.astype(np.float64) - was)[None], confidence)
    called_new = int((said == before.num_classes).sum())
    return Compared(float(was.mean()), float(now.mean()), difference, called_new, len(said))
