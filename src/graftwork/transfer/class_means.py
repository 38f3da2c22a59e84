"""Heads of class means: closed form, and little that few pictures could get wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from graftwork.config.errors import check_range
from graftwork.models.heads import Cosine, Linear, unit
from graftwork.transfer.parts import Examples
from graftwork.transfer.probe_space import scale_of
from graftwork.transfer.stored_heads import Fitted, StoredHead


@dataclass(frozen=True)
class ClassMeans(StoredHead):
    """The class whose mean is nearest (Mensink et al. 2013).

    Of -|x - mean|^2 / 2 the square of x is the same for all classes: what is left is linear.
    """

    standardise: list[float]  # powers to choose from: features are divided by deviation ** power

    def __post_init__(self) -> None:
        check_range("standardise: how many", len(self.standardise), 1)
        for power in self.standardise:
            check_range("standardise", power, 0, 1)

    @property
    def chooses(self) -> str:
        return (
            "how far features are standardised: the first power whose log loss is within a "
            "standard error of the lowest"
        )

    @property
    def alternatives(self) -> Sequence[ClassMeans]:
        return [replace(self, standardise=[power]) for power in self.standardise]

    @property
    def constants(self) -> dict[str, float]:
        return {"standardise": self.standardise[0]}

    def fitted(self, examples: Examples, sharpness: float) -> Fitted:
        (power,) = self.standardise
        features, labels, num_classes = examples.features, examples.labels, examples.num_classes
        scale, centre = np.ones(features.shape[1]), features.mean(0, dtype=np.float64)
        if power:
            scale, centre = scale_of(features, power)
        weight = means(features, labels, num_classes) - centre
        weight *= np.square(scale)
        bias = -0.5 * (np.square(weight / np.where(scale > 0, scale, 1))).sum(1) - weight @ centre
        missing = np.bincount(labels, minlength=num_classes) == 0
        if missing.any():  # a class without a picture is never likelier than the least likely one
            weight[missing] = 0
            known = features @ weight[~missing].T + bias[~missing]
            bias[missing] = known.min()
        tensors = {"weight": sharpness * weight, "bias": sharpness * bias}
        return Linear(init_std=0.0), _single(tensors)


@dataclass(frozen=True)
class CosineMeans(StoredHead):
    """Cosine to the mean direction of each class (imprinted weights, Qi et al. 2018)."""

    centre: list[bool]  # whether angles are seen from the mean of all pictures, or from zero

    def __post_init__(self) -> None:
        check_range("centre: how many", len(self.centre), 1)

    @property
    def chooses(self) -> str:
        return (
            "where angles are seen from: the first of zero and the mean of all photos whose log "
            "loss is within a standard error of the lowest"
        )

    @property
    def alternatives(self) -> Sequence[CosineMeans]:
        return [replace(self, centre=[centre]) for centre in self.centre]

    @property
    def constants(self) -> dict[str, float]:
        return {"centred": float(self.centre[0])}

    def fitted(self, examples: Examples, sharpness: float) -> Fitted:
        (centred,), features = self.centre, examples.features
        centre = features.mean(0, dtype=np.float64) if centred else np.zeros(features.shape[1])
        directions = unit((features - centre).astype(np.float32))
        weight = unit(means(directions, examples.labels, examples.num_classes))
        tensors = {"weight": weight, "centre": centre, "scale": np.array(sharpness)}
        return Cosine(init_scale=1.0, init_std=1.0), _single(tensors)


def means(features: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """float64 `[num_classes, num_features]`; zeros for a class without a picture."""
    found = np.zeros((num_classes, features.shape[1]))
    for label in np.unique(labels):
        found[label] = features[labels == label].mean(0, dtype=np.float64)
    return found


def _single(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.asarray(tensor, np.float32) for name, tensor in tensors.items()}
