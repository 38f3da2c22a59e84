"""Grad-CAM: which places of a picture speak for a class (Selvaraju et al., ICCV 2017).

By the library pytorch-grad-cam (MIT; on PyPI `grad-cam`, the extra `graftwork[inspect]`). From
1.5.7 on it asks for opencv-python-headless, which is here anyway; earlier ones bring opencv-python,
which overwrites the same folder `cv2` and wants libGL.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from graftwork.models.network.classifier import Classifier
from graftwork.models.network.group_outputs import GroupOutput, maps_of, watched


def grad_cam(
    classifier: Classifier, output: GroupOutput, images: torch.Tensor, labels: Sequence[int]
) -> np.ndarray:
    """One map a picture: positive evidence for its label's logit.

    The channels of the layer are weighted by their mean gradient (equation 1 of the paper), summed
    and cut at zero (equation 2), then resized bilinearly.

    Args:
        classifier: in eval mode; its parameters no longer ask for gradients afterwards.
        output: the layer whose maps are weighted.
        images: normalised, `[B, C, S, S]`.
        labels: of B pictures, the class asked for.

    Returns:
        float32 `[B, S, S]`, each map scaled on its own from its least to its most, to [0, 1]; all
        zero where no place stands out.
    """
    # Before the library, which imports torchvision and needs it to be importable.
    from graftwork.process.vision import torchvision  # noqa: F401, I001
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    def maps(tensor: torch.Tensor) -> torch.Tensor:
        found = maps_of(tensor, classifier.pooling)
        assert found is not None, output.group
        return found.clone()  # the next layer may work in place

    classifier.requires_grad_(False)  # gradients of the picture alone: no second set of weights
    images = images.detach().clone().requires_grad_()
    cam = GradCAM(classifier, [output.module], reshape_transform=maps)
    try:
        targets = [ClassifierOutputTarget(label) for label in labels]
        return np.asarray(cam(input_tensor=images, targets=targets), np.float32)
    finally:
        cam.activations_and_grads.release()


def last_that_matters(
    classifier: Classifier, outputs: Sequence[GroupOutput], images: torch.Tensor
) -> GroupOutput:
    """The last group whose positions reach the logits: where Grad-CAM looks by default.

    Usually the last one. A transformer that answers from its class token leaves the other tokens
    of its last block unused, so that there it is the block before.
    """
    kept: dict[str, torch.Tensor] = {}

    def seen(group: str, _module: nn.Module, _inputs: Any, output: Any) -> None:
        if output.requires_grad:
            kept[group] = output

    images = images.detach().clone().requires_grad_()
    with torch.enable_grad(), watched(((o.group, o.module) for o in outputs), seen):
        answer = classifier(images).amax(dim=1).sum()
    gradients = torch.autograd.grad(answer, list(kept.values()), allow_unused=True)
    reached = {g for g, d in zip(kept, gradients, strict=True) if _reaches(d, classifier)}
    return next((output for output in reversed(outputs) if output.group in reached), outputs[-1])


def _reaches(gradient: torch.Tensor | None, classifier: Classifier) -> bool:
    maps = None if gradient is None else maps_of(gradient, classifier.pooling)
    return maps is not None and bool(maps.any())
