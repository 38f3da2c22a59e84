"""The torch engine: channels_last, bf16 where the hardware has it, BatchNorm folded, CUDA."""

from __future__ import annotations

import copy

import numpy as np
import torch

from graftwork.models.network.classifier import Classifier
from graftwork.models.network.folding import fold, foldable
from graftwork.models.precision import chosen


def on_gpu() -> bool:
    return torch.cuda.is_available()


def hardware_precision() -> str:
    """`bf16` where the device that would be used multiplies it in hardware, else `fp32`."""
    return chosen("auto", on_gpu())


class TorchEngine:
    """Runs a copy of the classifier's backbone; the classifier itself is left alone."""

    def __init__(self, classifier: Classifier, precision: str) -> None:
        self._device = torch.device("cuda" if on_gpu() else "cpu")
        self._half = precision == "bf16"
        self._network = folded(classifier).to(self._device)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """See graftwork.features.engines.base.Engine."""
        with torch.inference_mode():
            pixels = torch.from_numpy(images).to(self._device)
            batch = self._network.normalise(pixels)
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
                features = self._network.features(batch)
            return features.float().cpu().numpy()


def eager_features(classifier: Classifier, images: np.ndarray) -> np.ndarray:
    """The reference: the network as it is, float32, on the CPU."""
    was_training = classifier.training
    with torch.inference_mode():
        pixels = torch.from_numpy(images)
        features = classifier.eval().features(classifier.normalise(pixels)).numpy()
    classifier.train(was_training)
    return features


def folded(classifier: Classifier) -> Classifier:
    """A copy in eval mode whose BatchNorms are folded into the convolutions before them."""
    network = copy.deepcopy(classifier).eval().requires_grad_(False)
    fold(network, foldable(network))
    return network
