"""BatchNorm's statistics computed anew, for weights that no training has seen as they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch

from graftwork.models.network.classifier import BATCH_NORMS, Classifier

if TYPE_CHECKING:
    from graftwork.training.datamodule import Batch


def settle(classifier: Classifier, batches: Iterable[Batch], device: str) -> None:
    """Gives every BatchNorm whose statistics training moves their mean over these batches.

    As torch.optim.swa_utils.update_bn, which would reset frozen ones, too. Nothing is done where
    all of them are frozen. The classifier is left on the CPU in eval mode.

    Args:
        batches: uint8 `[B, S, S, 3]` and labels.
    """
    classifier.train()
    moving = [m for m in classifier.modules() if isinstance(m, BATCH_NORMS) and m.training]
    if moving:
        before = [norm.momentum for norm in moving]
        for norm in moving:
            norm.reset_running_stats()
            norm.momentum = None  # the mean of all batches
        classifier.to(device)
        with torch.no_grad():
            for images, _ in batches:
                classifier(classifier.normalise(images.to(device)))
        for norm, momentum in zip(moving, before, strict=True):
            norm.momentum = momentum
    classifier.cpu().eval()
