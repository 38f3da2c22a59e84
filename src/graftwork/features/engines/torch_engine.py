"""The torch engine: channels_last, bf16 where the hardware has it, BatchNorm folded, CUDA."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn

from graftwork.models.network.classifier import Classifier
from graftwork.models.network.folding import fold, foldable
from graftwork.models.precision import chosen


def on_gpu() -> bool:
    return torch.cuda.is_available()


def hardware_precision() -> str:
    """`bf16` where the device that would be used multiplies it in hardware, else `fp32`."""
    return chosen("auto", on_gpu())


class FromPixels(nn.Module):
    """uint8 `[B, S, S, 3]` to features, or to the maps that a prefix of the network ends with.

    Args:
        classifier: whose normalisation and backbone are run.
        prefix: a part of it (see graftwork.models.network.splitting); None: all of the backbone.
    """

    def __init__(self, classifier: Classifier, prefix: nn.Module | None = None) -> None:
        super().__init__()
        self.classifier, self.prefix = classifier, prefix

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pixels = self.classifier.normalise(images)
        return self.classifier.vectors(pixels) if self.prefix is None else self.prefix(pixels)


class TorchEngine:
    """Runs a copy of the classifier's backbone, or of a prefix; the classifier is left alone."""

    def __init__(
        self, classifier: Classifier, precision: str, prefix: nn.Module | None = None
    ) -> None:
        self._device = torch.device("cuda" if on_gpu() else "cpu")
        self._half = precision == "bf16"
        if prefix is None:
            network = FromPixels(folded(classifier))
        else:  # one deep copy: both go on sharing their layers
            network = copy.deepcopy(FromPixels(classifier, prefix)).eval().requires_grad_(False)
        self._network = network.to(self._device)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """See graftwork.features.engines.base.Engine."""
        with torch.inference_mode():
            pixels = torch.from_numpy(images).to(self._device)
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
                features = self._network(pixels)
            return features.float().cpu().numpy()


def eager_features(
    classifier: Classifier, images: np.ndarray, prefix: nn.Module | None = None
) -> np.ndarray:
    """The reference: the network, or a prefix of it, as it is, float32, on the CPU."""
    was_training = classifier.training
    with torch.inference_mode():
        features = FromPixels(classifier.eval(), prefix)(torch.from_numpy(images)).numpy()
    classifier.train(was_training)
    return features


def folded(classifier: Classifier) -> Classifier:
    """A copy in eval mode whose BatchNorms are folded into the convolutions before them."""
    network = copy.deepcopy(classifier).eval().requires_grad_(False)
    fold(network, foldable(network))
    return network
