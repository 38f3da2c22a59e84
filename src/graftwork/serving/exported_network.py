"""What is exported of a trained network: preprocessing and all, from bytes of pixels to logits."""

from __future__ import annotations

import torch
from torch import nn

from graftwork.features.engines.torch_engine import folded
from graftwork.model_folder.contents import Contract
from graftwork.models.network.classifier import Classifier
from graftwork.serving.photo_view import PhotoView

HALVES = {"fp16": torch.float16, "bf16": torch.bfloat16}


class ExportedNetwork(nn.Module):
    """uint8 RGB to float32 logits; a copy, BatchNorm folded, the classifier is left alone.

    Args:
        takes: `photos` `[B, H, W, 3]` of any one size, or `views` `[B, S, S, 3]`, as evaluation
            resizes and crops them.
        precision: in which all behind normalisation computes: fp16, bf16, anything else fp32.
    """

    def __init__(
        self, classifier: Classifier, contract: Contract, takes: str, precision: str
    ) -> None:
        super().__init__()
        self.takes, self.size = takes, contract.input_spec.size
        self.photo_view = PhotoView(contract) if takes == "photos" else None
        self.classifier = folded(classifier)
        self.precision = HALVES.get(precision, torch.float32)
        for part in self.classifier.children():  # normalisation itself stays in float32
            part.to(self.precision)
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """See the class."""
        if self.photo_view is not None:
            images = self.photo_view(images).permute(0, 2, 3, 1)
        pixels = self.classifier.normalise(images)
        if self.precision == torch.float32:  # some tools stumble over casts to what is there
            return self.classifier(pixels)
        return self.classifier(pixels.to(self.precision)).float()

    def example(self) -> torch.Tensor:
        """Two pictures to trace it on; sizes that differ and are none of its own."""
        height, width = (self.size,) * 2
        if self.takes == "photos":
            height, width = self.size + 37, self.size + 58
        return torch.zeros((2, height, width, 3), dtype=torch.uint8)

    @property
    def free(self) -> tuple[int, ...]:
        """Axes of its input that may have any length."""
        return (0, 1, 2) if self.takes == "photos" else (0,)
