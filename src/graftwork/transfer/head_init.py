"""Where the head starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from graftwork.config.errors import check_range
from graftwork.models.heads import Linear
from graftwork.transfer.parts import Examples, FittedHead, HeadInit

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class AsBuilt(HeadInit):
    """As `model.head` initialises it."""

    @property
    def needs_features(self) -> bool:
        return False

    def fit(self, examples: Examples) -> FittedHead:
        raise AssertionError("this head is built, not fitted")

    def cross_validated(self, examples: Examples) -> np.ndarray:
        raise AssertionError("this head is built, not fitted")


@dataclass(frozen=True)
class L2Penalised(HeadInit):
    """A linear head on stored features whose weights have an L2 penalty."""

    strengths: list[float]  # L2 penalties to choose from, for features of mean squared length 1
    standardise: float  # features are divided by deviation ** this: 0 not at all, 1 fully

    def __post_init__(self) -> None:
        check_range("strengths: how many", len(self.strengths), 1)
        for strength in self.strengths:
            check_range("strengths", strength, 0, low_open=True)
        check_range("standardise", self.standardise, 0, 1)

    @property
    def needs_features(self) -> bool:
        return True

    @property
    def chooses(self) -> str:
        return "the head's penalty: the strongest within a standard error of the lowest log loss"


@dataclass(frozen=True)
class ConvergedProbe(L2Penalised):
    """The linear probe, converged, its strength chosen by cross-validation (Kumar et al. 2022)."""

    def fit(self, examples: Examples) -> FittedHead:
        from graftwork.transfer.probe import fit_probe

        probe = fit_probe(
            examples.features,
            examples.labels,
            examples.num_classes,
            strengths=self.strengths,
            standardise=self.standardise,
            fold=examples.fold,
        )
        facts = {"probe/strength": probe.strength}
        if probe.log_loss:
            best = probe.strengths.index(probe.strength)
            facts["probe/cv_log_loss"] = probe.log_loss[best]
            facts["probe/cv_top1"] = probe.accuracy[best]
        fixed = replace(self, strengths=[probe.strength])
        tensors = {"weight": probe.weight, "bias": probe.bias}
        head, classes = Linear(init_std=0.0), examples.num_classes
        return FittedHead(head, tensors, classes, facts, probe.held_out, fixed)

    def cross_validated(self, examples: Examples) -> np.ndarray:
        from graftwork.transfer.probe import cross_validated

        (strength,) = self.strengths
        return cross_validated(
            examples.features, examples.labels, examples.num_classes,
            strength=strength, standardise=self.standardise, fold=examples.fold,
        )  # fmt: skip
