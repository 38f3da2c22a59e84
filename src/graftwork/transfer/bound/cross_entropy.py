"""Cross-entropy at work, with all that may be asked of it."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from graftwork.transfer.bound.mixing import Mixer
from graftwork.transfer.bound.objective import BoundObjective


class BoundCrossEntropy(BoundObjective):
    """The mean of `sum_c q_c (1 - p_c)^focus (-log p_c)` over the batch.

    p are the probabilities of the logits, q the target's mass: 1 on the label, or two labels'
    shares where images are mixed; each class's mass times the weight of that class; then smoothed.
    Without focus and weights it is `torch.nn.functional.cross_entropy`.

    Args:
        smoothing: of a picture's mass, spread evenly over all classes.
        focus: the exponent, 0 or more.
        weights: float32 `[num_classes]`; None: every picture counts alike.
        mixer: None: images are as they are.
    """

    weights: torch.Tensor | None

    def __init__(
        self,
        num_classes: int,
        smoothing: float,
        focus: float,
        weights: torch.Tensor | None,
        mixer: Mixer | None,
    ) -> None:
        super().__init__()
        self.num_classes, self.smoothing, self.focus = num_classes, smoothing, focus
        self.register_buffer("weights", weights, persistent=False)
        self.mixer = mixer

    def mix(
        self, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self.mixer is None:
            return images, labels
        return self.mixer(images, labels, self.num_classes, generator)

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if self.focus == 0 and self.weights is None:
            return F.cross_entropy(logits, targets, label_smoothing=self.smoothing)
        log_p = logits.log_softmax(1)
        terms = self.mass(targets, logits.shape[1]) * -log_p
        if self.focus:
            terms = terms * not_said(log_p) ** self.focus
        return terms.sum(1).mean()

    def mass(self, targets: torch.Tensor, num_classes: int) -> torch.Tensor:
        """q, `[B, num_classes]`: over the training pictures its mean sum is 1."""
        mass = targets if targets.ndim == 2 else F.one_hot(targets, num_classes).float()
        if self.weights is not None:
            mass = mass * self.weights
        if self.smoothing:
            spread = mass.sum(1, keepdim=True) / num_classes
            mass = mass.lerp(spread.expand_as(mass), self.smoothing)
        return mass


def not_said(log_p: torch.Tensor) -> torch.Tensor:
    """1 - p; never 0, where powers below 1 have no gradient."""
    return -torch.expm1(log_p).clamp(max=-torch.finfo(log_p.dtype).eps)
