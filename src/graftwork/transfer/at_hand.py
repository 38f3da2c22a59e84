"""What training has at hand for penalties."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

    from graftwork.models.network.classifier import Classifier
    from graftwork.storage.array_store import ArrayStore


class AtHand(Protocol):
    """Each thing is made when it is asked for, and is the same in every process."""

    @property
    def classes(self) -> Sequence[str]:
        """Their names; index = label."""

    @property
    def batch_size(self) -> int:
        """Of passes through a network that only answers."""

    @property
    def views_come_again(self) -> bool:
        """Whether training sees a picture as evaluation does, epoch after epoch."""

    def pictures(self, count: int | None) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """The pictures that are fitted, as evaluation sees them: uint8 `[b, S, S, 3]` and int64
        labels `[b]`, in batches.

        Args:
            count: of so many, evenly spread over their rows; None: of all.
        """

    def source(self) -> tuple[Classifier, str]:
        """The network as it was pretrained, classifier included, and what tells its weights apart.

        Raises:
            UserError: the weights' file has no classifier.
        """

    def answers(self, facts: Mapping[str, Any]) -> ArrayStore:
        """Stored float32 logits by the sha256 of a view.

        Args:
            facts: of the network that gave them; versions and precision are added.
        """
