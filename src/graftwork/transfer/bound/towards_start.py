"""L2-SP at work."""

from __future__ import annotations

import torch

from graftwork.models.network.classifier import Classifier
from graftwork.transfer.bound.penalty import BoundPenalty, Outputs
from graftwork.transfer.parts import Moment


class TowardsStart(BoundPenalty):
    """`weight / 2` times the squared distance of the backbone's parameters from those it has now,
    plus `head_weight / 2` times the squared length of the head's.

    What is frozen is where it began, and is not looked at.
    """

    def __init__(self, classifier: Classifier, weight: float, head_weight: float) -> None:
        super().__init__(1.0)
        self.backbone_weight, self.head_weight = weight, head_weight
        named = [*classifier.named_parameters()]
        self.covered = frozenset(name for name, _ in named)
        # Lists, so that they are no parameters of this module.
        self.held = [p for name, p in named if name.startswith("backbone.")]
        self.head = [p for name, p in named if name.startswith("head.")]
        for index, parameter in enumerate(self.held):
            self.register_buffer(f"start_{index}", parameter.detach().clone(), persistent=False)

    def forward(self, outputs: Outputs, moment: Moment) -> torch.Tensor | None:
        pairs = zip(self.held, self.buffers(), strict=True)
        apart = [(p - start).square().sum() for p, start in pairs if p.requires_grad]
        long = [p.square().sum() for p in self.head if p.requires_grad]
        if not apart and not long:
            return None
        zero = outputs.logits.new_zeros(())
        return (
            self.backbone_weight * torch.stack([zero, *apart]).sum()
            + self.head_weight * torch.stack([zero, *long]).sum()
        ) / 2
