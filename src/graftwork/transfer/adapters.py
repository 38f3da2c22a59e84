"""What is attached to a network while it trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from graftwork.transfer.parts import Adapter

if TYPE_CHECKING:
    from graftwork.models.network.classifier import Classifier


@dataclass(frozen=True)
class NoAdapter(Adapter):
    """Nothing: the network's own weights are trained."""

    @property
    def is_none(self) -> bool:
        return True

    def attach(self, classifier: Classifier, seed: int) -> None:
        pass

    def merge(self, classifier: Classifier) -> None:
        pass
