"""The torch engine: channels_last, bf16 where the hardware has it, BatchNorm folded, CUDA."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from graftwork.models.classifier import Classifier
from graftwork.models.precision import chosen

TOLERANCE = 1e-4  # of the largest feature: what float32 rounding may change when folding


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
    """A copy in eval mode whose BatchNorms are folded into the convolutions before them.

    The pairs are found by running one picture, and the result is compared with the network as it
    was: where folding would change what it computes, the copy stays unfolded.
    """
    plain = copy.deepcopy(classifier).eval().requires_grad_(False)
    spec = classifier.input_spec
    noise = torch.Generator().manual_seed(0)
    batch = torch.randn(1, spec.channels, spec.size, spec.size, generator=noise)
    with torch.no_grad():
        expected = plain.features(batch)
        network = copy.deepcopy(plain)
        fold_batch_norm(network.backbone, lambda: network.features(batch))
        difference = (network.features(batch) - expected).abs().max()
    return network if difference <= TOLERANCE * expected.abs().max() else plain


def fold_batch_norm(backbone: nn.Module, run: Callable[[], object]) -> int:
    """Folds every BatchNorm that directly follows a convolution. Returns how many there were.

    Args:
        run: makes one forward pass, so that who follows whom is seen rather than guessed.
    """
    pairs = followed_by_norm(backbone, run)
    for convolution, norm in pairs:
        assert norm.running_mean is not None and norm.running_var is not None
        weight, bias = fuse_conv_bn_weights(
            convolution.weight,
            convolution.bias,
            norm.running_mean,
            norm.running_var,
            norm.eps,
            norm.weight,
            norm.bias,
        )
        convolution.weight, convolution.bias = weight, bias
    _replace(backbone, {norm: _rest(norm) for _, norm in pairs})
    return len(pairs)


def followed_by_norm(
    backbone: nn.Module, run: Callable[[], object]
) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Convolutions whose very output tensor is the input of a BatchNorm."""
    outputs: list[tuple[torch.Tensor, int, nn.Conv2d]] = []
    found: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def see(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            # Kept alive: an id must not be used twice. The version tells changes in place.
            outputs.append((output, output._version, module))
        elif isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            found.extend(
                (conv, module)
                for tensor, version, conv in outputs
                if tensor is inputs[0] and tensor._version == version
            )

    hooks = [module.register_forward_hook(see) for module in backbone.modules()]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    # A module that runs twice stands in two places: it cannot be folded into one of them.
    convolutions = [conv for _, _, conv in outputs]
    norms = [norm for _, norm in found]
    return [
        (conv, norm)
        for conv, norm in found
        if convolutions.count(conv) == 1 and norms.count(norm) == 1
    ]


def _rest(norm: nn.BatchNorm2d) -> nn.Module:
    """What remains of a folded BatchNorm: timm's BatchNormAct2d also carries an activation."""
    parts = (getattr(norm, "drop", None), getattr(norm, "act", None))
    kept = [part for part in parts if isinstance(part, nn.Module)]
    return nn.Sequential(*kept) if kept else nn.Identity()


def _replace(backbone: nn.Module, new: dict[nn.BatchNorm2d, nn.Module]) -> None:
    for parent in list(backbone.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d) and child in new:
                setattr(parent, name, new[child])
