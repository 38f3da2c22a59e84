"""Networks beside the one that is trained: they only answer."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn import functional as F

from graftwork.models.network.classifier import Classifier
from graftwork.models.network.folding import fold, foldable
from graftwork.models.precision import chosen


class Resting(nn.Module):
    """A network in eval mode for good, whose parameters ask for no gradient.

    Args:
        network: is taken over; its BatchNorm is folded into the convolutions before it.
    """

    def __init__(self, network: Classifier) -> None:
        super().__init__()
        network.eval().requires_grad_(False)
        fold(network, foldable(network))
        self.network = network.requires_grad_(False)  # what is folded is new
        self.train(False)

    def train(self, mode: bool = True) -> Resting:
        """Whatever is asked for, it is eval mode."""
        super().train(False)
        return self

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        """`[B, S, S, 3]`, 0 to 255, to logits float32; in bf16 where the machine does that well.

        Views of another size than the network's are resized.
        """
        kind = views.device.type
        half = chosen("auto", kind == "cuda") == "bf16"
        with torch.no_grad(), torch.autocast(kind, torch.bfloat16, enabled=half):
            found: torch.Tensor = self.network(self._fitted(self.network.normalise(views)))
        return found.float()

    def _fitted(self, pixels: torch.Tensor) -> torch.Tensor:
        size = self.network.input_spec.size
        if pixels.shape[-1] == size:
            return pixels
        return F.interpolate(pixels, (size, size), mode="bilinear", antialias=True)


def first_network(classifier: Classifier) -> Resting:
    """A copy of the network as it is now; torch's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        return Resting(copy.deepcopy(classifier))
