"""Where the head starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from graftwork.config.errors import check_range
from graftwork.models.heads import Linear
from graftwork.transfer.parts import FittedHead, HeadInit

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class AsBuilt(HeadInit):
    """As `model.head` initialises it."""

    @property
    def needs_features(self) -> bool:
        return False

    def fit(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        num_classes: int,
        fold: np.ndarray,
        seed: int,
    ) -> FittedHead:
        raise AssertionError("this head is built, not fitted")

    def cross_validated(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        num_classes: int,
        fold: np.ndarray,
        seed: int,
    ) -> np.ndarray:
        raise AssertionError("this head is built, not fitted")


@dataclass(frozen=True)
class ConvergedProbe(HeadInit):
    """The linear probe, converged, its strength chosen by cross-validation (Kumar et al. 2022)."""

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

    def fit(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        num_classes: int,
        fold: np.ndarray,
        seed: int,
    ) -> FittedHead:
        from graftwork.transfer.probe import fit_probe

        probe = fit_probe(
            features,
            labels,
            num_classes,
            strengths=self.strengths,
            standardise=self.standardise,
            fold=fold,
        )
        facts = {"probe/strength": probe.strength}
        if probe.log_loss:
            best = probe.strengths.index(probe.strength)
            facts["probe/cv_log_loss"] = probe.log_loss[best]
            facts["probe/cv_top1"] = probe.accuracy[best]
        fixed = replace(self, strengths=[probe.strength])
        tensors = {"weight": probe.weight, "bias": probe.bias}
        return FittedHead(Linear(init_std=0.0), tensors, num_classes, facts, probe.held_out, fixed)

    def cross_validated(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        num_classes: int,
        fold: np.ndarray,
        seed: int,
    ) -> np.ndarray:
        from graftwork.transfer.probe import cross_validated

        (strength,) = self.strengths
        return cross_validated(
            features, labels, num_classes,
            strength=strength, standardise=self.standardise, fold=fold,
        )  # fmt: skip
