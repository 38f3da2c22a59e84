"""Penalties that compare answers with those of a network at rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import nn
from torch.nn import functional as F

from graftwork.transfer.bound.answers import Answers
from graftwork.transfer.bound.penalty import BoundPenalty, Outputs
from graftwork.transfer.parts import Moment


def softened_divergence(
    logits: torch.Tensor, teacher: torch.Tensor, temperature: float
) -> torch.Tensor:
    """`T^2 KL(softmax(teacher / T) || softmax(logits / T))`, the mean over the batch (Hinton et al.
    2015): with T^2 its gradient is as large whatever T is.

    Args:
        logits: `[B, n]`.
        teacher: `[B, n]`.
    """
    said = (logits / temperature).log_softmax(1)
    wanted = (teacher / temperature).log_softmax(1)
    return temperature**2 * F.kl_div(said, wanted, reduction="batchmean", log_target=True)


class TaughtByAnother(BoundPenalty):
    """The network's logits are drawn to a teacher's.

    Args:
        order: for each class here, which of the teacher's it is.
    """

    order: torch.Tensor

    def __init__(
        self, answers: Answers, order: Sequence[int], weight: float, temperature: float
    ) -> None:
        super().__init__(weight)
        self.answers, self.temperature = answers, temperature
        self.register_buffer("order", torch.tensor(order), persistent=False)

    def forward(self, outputs: Outputs, moment: Moment) -> torch.Tensor | None:
        teacher = self.answers(outputs.views)[:, self.order]
        return softened_divergence(outputs.logits, teacher, self.temperature)


class OnSourceHead(BoundPenalty):
    """A penalty on what the classifier of the source task says of the features that are trained.

    That classifier is trained along; where nothing of the backbone is, all of it is off.
    """

    def __init__(self, head: nn.Module, weight: float) -> None:
        super().__init__(weight)
        self.head = head.requires_grad_(True)
        self.active = True

    def freeze(self, groups: Sequence[tuple[str, ...]], trained: Sequence[bool]) -> None:
        self.active = any(trained)
        self.head.requires_grad_(self.active)

    def said(self, outputs: Outputs) -> torch.Tensor:
        """Logits of the source task, float32 `[B, source classes]`."""
        found: torch.Tensor = self.head(outputs.features).float()
        return found


class NotForgotten(OnSourceHead):
    """Learning without forgetting: what the source task's classifier says stays what it was."""

    def __init__(
        self, answers: Answers, head: nn.Module, weight: float, temperature: float
    ) -> None:
        super().__init__(head, weight)
        self.answers, self.temperature = answers, temperature

    def forward(self, outputs: Outputs, moment: Moment) -> torch.Tensor | None:
        if not self.active:
            return None
        before = self.answers(outputs.views)
        return softened_divergence(self.said(outputs), before, self.temperature)


class CoTuned(OnSourceHead):
    """Co-tuning: the cross-entropy of the source task's classifier to the source classes that go
    with each label.

    Args:
        relation: float32 `[num_classes, source classes]`, rows of sum 1.
    """

    relation: torch.Tensor

    def __init__(self, relation: torch.Tensor, head: nn.Module, weight: float) -> None:
        super().__init__(head, weight)
        self.register_buffer("relation", relation, persistent=False)

    def forward(self, outputs: Outputs, moment: Moment) -> torch.Tensor | None:
        if not self.active:
            return None
        targets = outputs.targets
        soft = targets.ndim == 2  # of mixed images: the shares of both
        wanted = targets @ self.relation if soft else self.relation[targets]
        return F.cross_entropy(self.said(outputs), wanted)


def relation_of(
    answers: Answers, pictures: Iterable[tuple[torch.Tensor, torch.Tensor]], num_classes: int
) -> torch.Tensor:
    """`p(source class | label)`, float32 `[num_classes, n]`: the mean of what the source network
    says of a label's pictures (You et al. 2020, section 3.1, the direct way).

    A label without pictures goes with every source class alike.
    """
    sums: torch.Tensor | None = None
    for images, labels in pictures:
        said = answers(images).double().softmax(1)
        own = F.one_hot(labels, num_classes).double().T @ said
        sums = own if sums is None else sums + own
    assert sums is not None, "no pictures are fitted"
    sums[sums.sum(1) == 0] = 1.0
    return (sums / sums.sum(1, keepdim=True)).float()
