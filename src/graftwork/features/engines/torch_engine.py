"""The torch engine: channels_last, bf16 where the hardware has it, BatchNorm folded, CUDA."""

from __future__ import annotations

import copy
import os

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


def device_of(accelerator: str) -> torch.device:
    """Where a network runs: the GPU of this process, unless there is none or the CPU is wanted.

    Args:
        accelerator: as of conf/trainer.
    """
    if accelerator == "cpu" or not on_gpu():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())


class FromPixels(nn.Module):
    """uint8 `[B, S, S, 3]` to features, or to what a part of the network ends with.

    Args:
        classifier: whose normalisation and backbone are run.
        part: what is run of it: a prefix (see graftwork.models.network.splitting) to its maps, the
            classifier itself to its logits; None: the backbone to pooled features.
    """

    def __init__(self, classifier: Classifier, part: nn.Module | None = None) -> None:
        super().__init__()
        self.classifier, self.part = classifier, part

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pixels = self.classifier.normalise(images)
        return self.classifier.vectors(pixels) if self.part is None else self.part(pixels)


class TorchEngine:
    """Runs a copy of the classifier's backbone, or of a part; the classifier is left alone.

    Args:
        part: as of `FromPixels`.
        device: on which; None: the first GPU, where there is one.
    """

    def __init__(
        self,
        classifier: Classifier,
        precision: str,
        part: nn.Module | None = None,
        device: torch.device | None = None,
    ) -> None:
        self._device = device or torch.device("cuda" if on_gpu() else "cpu")
        self._half = precision == "bf16"
        if part is None or part is classifier:
            copied = folded(classifier)
            network = FromPixels(copied, None if part is None else copied)
        else:  # one deep copy: both go on sharing their layers
            network = copy.deepcopy(FromPixels(classifier, part)).eval().requires_grad_(False)
        self._network = network.to(self._device)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """See graftwork.features.engines.base.Engine."""
        with torch.inference_mode():
            pixels = torch.from_numpy(images).to(self._device)
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
                features = self._network(pixels)
            return features.float().cpu().numpy()


def eager_features(
    classifier: Classifier, images: np.ndarray, part: nn.Module | None = None
) -> np.ndarray:
    """The reference: the network, or a part of it, as it is, float32, on the CPU."""
    was_training = classifier.training
    with torch.inference_mode():
        features = FromPixels(classifier.eval(), part)(torch.from_numpy(images)).numpy()
    classifier.train(was_training)
    return features


def folded(classifier: Classifier) -> Classifier:
    """A copy in eval mode whose BatchNorms are folded into the convolutions before them."""
    network = copy.deepcopy(classifier).eval().requires_grad_(False)
    fold(network, foldable(network))
    return network
