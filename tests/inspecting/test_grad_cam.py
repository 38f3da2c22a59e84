"""Grad-CAM lights where the evidence is, and is what the paper's equations say."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from small_network import network
from torch import nn

from graftwork.inspecting.grad_cam import grad_cam, last_that_matters
from graftwork.models.base import InputSpec
from graftwork.models.network.classifier import Classifier
from graftwork.models.network.group_outputs import group_outputs, maps_of
from graftwork.process.vision import timm  # noqa: F401  (importable before anything asks for it)

SIZE = 32


class Colours(nn.Module):
    """Sums red in its first channel and green in its second one, over blocks of 8 px."""

    num_features = 2

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 2, 8, stride=8, bias=False)
        self.block = nn.Conv2d(2, 2, 1, bias=False)
        with torch.no_grad():
            self.stem.weight.zero_()
            self.stem.weight[0, 0], self.stem.weight[1, 1] = 1.0, 1.0
            self.block.weight.copy_(torch.eye(2)[:, :, None, None])

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        return {"stem": r"^stem", "blocks": r"^block"}

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        return self.block(self.stem(x)).relu_()


def colours() -> Classifier:
    """Class 0 is red, class 1 is green."""
    head = nn.Linear(2, 2)
    with torch.no_grad():
        head.weight.copy_(torch.eye(2))
    spec = InputSpec(SIZE, (0.0,) * 3, (1.0,) * 3, "bilinear", 1.0)
    return Classifier(Colours(), "avg", head, spec, 2).eval()


def by_hand(classifier, images, labels, output):
    """Equations 1 and 2 of the paper, then resized and scaled."""
    kept = {}
    handle = output.module.register_forward_hook(lambda m, i, tensor: kept.update(out=tensor))
    logits = classifier(images.clone().requires_grad_())
    handle.remove()
    chosen = sum(row[label] for row, label in zip(logits, labels, strict=True))
    gradient = torch.autograd.grad(chosen, kept["out"])[0]
    weight = maps_of(gradient, classifier.pooling).mean((2, 3), keepdim=True)
    maps = (weight * maps_of(kept["out"], classifier.pooling)).sum(1).relu().detach().numpy()
    found = []
    for one in maps:
        one = cv2.resize(one - one.min(), images.shape[:1:-1])
        found.append((one - one.min()) / one.max())
    return np.stack(found)


def test_it_lights_where_the_evidence_is():
    classifier = colours()
    picture = torch.zeros(1, 3, SIZE, SIZE)
    picture[0, 0, :8, :8] = 1.0  # red in the top left corner
    picture[0, 1, -8:, -8:] = 1.0  # green in the bottom right one
    (output,) = group_outputs(classifier)[-1:]
    red, green = grad_cam(classifier, output, picture.repeat(2, 1, 1, 1), [0, 1])
    assert red.shape == (SIZE, SIZE)
    assert red[2, 2] > 0.999 and green[-3, -3] > 0.999
    assert not red[16:].any() and not red[:, 16:].any()
    assert not green[:16].any() and not green[:, :16].any()


def test_no_evidence_is_no_heat():
    classifier = colours()
    nothing = torch.zeros(1, 3, SIZE, SIZE)
    assert not grad_cam(classifier, group_outputs(classifier)[-1], nothing, [0]).any()


def test_a_convolutional_network_agrees_with_the_equations():
    classifier = network("tiny_cnn", 32)
    images = torch.randn(4, 3, 32, 32)
    for output in group_outputs(classifier):
        found = grad_cam(classifier, output, images, [0, 1, 2, 0])
        expected = by_hand(classifier, images, [0, 1, 2, 0], output)
        assert found.max() > 0.99
        assert np.allclose(found, expected, atol=2e-3), output.group


def test_a_class_token_makes_the_block_before_the_last_matter():
    classifier = network("vit_tiny_patch16_224", 64, depth=3)
    images = torch.randn(2, 3, 64, 64)
    outputs = group_outputs(classifier)
    output = last_that_matters(classifier, outputs, images[:1])
    assert output.group == "blocks.1" and outputs[-1].group == "blocks.2"
    assert not grad_cam(classifier, outputs[-1], images, [0, 1]).any()
    found = grad_cam(classifier, output, images, [0, 1])
    assert found.max() > 0.99
    assert np.allclose(found, by_hand(classifier, images, [0, 1], output), atol=2e-3)


def test_averaged_tokens_make_the_last_block_matter():
    classifier = network("vit_tiny_patch16_224", 64, "avg", depth=2)
    outputs = group_outputs(classifier)
    assert last_that_matters(classifier, outputs, torch.randn(1, 3, 64, 64)) is outputs[-1]


def test_nothing_stays_hooked():
    classifier = network("tiny_cnn", 32)
    outputs = group_outputs(classifier)
    last_that_matters(classifier, outputs, torch.randn(1, 3, 32, 32))
    grad_cam(classifier, outputs[0], torch.randn(1, 3, 32, 32), [0])
    assert not any(module._forward_hooks for module in classifier.modules())
