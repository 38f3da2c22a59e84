"""A small network on stored features: trained in seconds, the backbone is not run again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from graftwork.config.errors import check_range
from graftwork.models.heads import Mlp
from graftwork.transfer.parts import Examples
from graftwork.transfer.stored_heads import Fitted, StoredHead, nothing_said


@dataclass(frozen=True)
class TrainedMlp(StoredHead):
    """One hidden layer, trained by AdamW at a constant rate; held-out pictures say how long."""

    head: Mlp
    epochs: list[int]  # passes over the features, to choose from
    lr: float
    weight_decay: float  # of AdamW, not of biases
    batch_size: int  # pictures
    standardise: float  # features are divided by deviation ** this: 0 not at all, 1 fully

    def __post_init__(self) -> None:
        check_range("epochs: how many", len(self.epochs), 1)
        for epochs in self.epochs:
            check_range("epochs", epochs, 1)
        check_range("lr", self.lr, 0, 10, low_open=True)
        check_range("weight_decay", self.weight_decay, 0, 1)
        check_range("batch_size", self.batch_size, 1)
        check_range("standardise", self.standardise, 0, 1)

    @property
    def chooses(self) -> str:
        return (
            "how long the head is trained: the fewest epochs within a standard error of the "
            "lowest log loss"
        )

    @property
    def alternatives(self) -> Sequence[TrainedMlp]:
        return [replace(self, epochs=[epochs]) for epochs in sorted(set(self.epochs))]

    @property
    def constants(self) -> dict[str, float]:
        return {"head_epochs": self.epochs[0]}

    def fitted(self, examples: Examples, sharpness: float) -> Fitted:
        from graftwork.transfer.bound.mlp_training import trained

        (tensors,) = trained(self, examples)
        for name in ("out.weight", "out.bias"):
            tensors[name] = np.asarray(tensors[name] * sharpness, np.float32)
        return self.head, tensors

    def scores(self, examples: Examples) -> list[np.ndarray]:
        """One training for each fold: the shorter ones are its beginning."""
        from graftwork.transfer.bound.mlp_training import trained

        found = nothing_said(examples, len(self.alternatives))
        for out, rest in examples.parts():
            for tensors, row in zip(trained(self, rest), found, strict=True):
                row[out] = self.head.logits(tensors, examples.features[out], examples.num_classes)
        return found
