"""Auxiliary classifiers: further losses half-way through a network, in training alone.

They send a gradient to early layers by a short way (Szegedy et al. 2014; Lee et al. 2015). Nothing
of them is kept: evaluation, stored features and the model folder are those of the plain network.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graftwork.config.errors import check_range
from graftwork.transfer.parts import Facts, Penalty

if TYPE_CHECKING:
    from graftwork.models.network.classifier import Classifier
    from graftwork.transfer.at_hand import AtHand
    from graftwork.transfer.bound.objective import BoundObjective
    from graftwork.transfer.bound.penalty import BoundPenalty


@dataclass(frozen=True)
class AuxiliaryClassifiers(Penalty):
    """Those of the network's architecture, new for each training."""

    weight: float  # of each one's loss; 0: none

    def __post_init__(self) -> None:
        check_range("weight", self.weight, 0)

    @property
    def is_none(self) -> bool:
        return not self.weight

    @property
    def looks_inside(self) -> bool:
        return bool(self.weight)

    @contextmanager
    def bound(
        self, classifier: Classifier, objective: BoundObjective, facts: Facts, at_hand: AtHand
    ) -> Iterator[BoundPenalty | None]:
        """torch's own generator is left as it was: with and without them, training starts alike."""
        if not self.weight:
            yield None
            return
        import torch

        from graftwork.transfer.bound.auxiliary_heads import AuxiliaryHeads, new_heads

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(facts.seed)
            heads = new_heads(classifier.backbone, facts.num_classes)
        yield AuxiliaryHeads(heads, self.weight, objective)
