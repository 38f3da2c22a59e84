from __future__ import annotations

import multiply_accumulates
import pytest
import torch
from torch import nn

from graftwork.models.backbones.auxiliary_classifiers import AuxiliaryClassifier
from graftwork.models.backbones.inception import (
    Convolution,
    Inception,
    NaiveInception,
    Widths,
)


def test_the_naive_module_costs_what_is_published() -> None:
    """At 28x28x256 with 128 1x1, 192 3x3 and 96 5x5: 854 million."""
    module = NaiveInception(256, 128, 192, 96)
    assert round(multiply_accumulates.total(module, 256, 28) / 1e6) == 854
    assert module(torch.zeros(1, 256, 28, 28)).shape == (1, module.out_channels, 28, 28)
    assert module.out_channels == 672


def test_bottlenecks_save_two_thirds() -> None:
    """The same with 64 channels in each bottleneck; 358 million is often quoted, and wrong."""
    widths = Widths(128, 64, 192, 64, 96, 64)
    module = Inception(256, widths, kernel_5x5=5)
    assert round(multiply_accumulates.total(module, 256, 28) / 1e6) == 271
    assert module(torch.zeros(1, 256, 28, 28)).shape == (1, 480, 28, 28)


@pytest.mark.parametrize("kernel", [3, 5])
def test_the_third_branch_is_as_wide_as_it_says(kernel: int) -> None:
    module = Inception(8, Widths(1, 2, 3, 4, 5, 6), kernel_5x5=kernel)
    assert [c.conv.kernel_size[0] for c in module.branch3] == [1, kernel]
    assert module(torch.zeros(1, 8, 7, 7)).shape == (1, 15, 7, 7)


def test_branches_are_joined_in_order() -> None:
    module = Inception(8, Widths(1, 2, 3, 4, 5, 6)).eval()
    images = torch.randn(2, 8, 9, 9)
    parts = module(images).split([1, 3, 5, 6], 1)
    for part, branch in zip(parts, module.children(), strict=True):
        torch.testing.assert_close(part, branch(images))


def test_without_batch_norm_there_is_a_bias() -> None:
    with_norm, without = Convolution(3, 4, 3), Convolution(3, 4, 3, batch_norm=False)
    assert isinstance(with_norm.bn, nn.BatchNorm2d) and with_norm.conv.bias is None
    assert isinstance(without.bn, nn.Identity) and without.conv.bias is not None


@pytest.mark.parametrize("side", [1, 4, 14, 15])
def test_auxiliary_classifiers_take_maps_of_any_side(side: int) -> None:
    head = AuxiliaryClassifier(8, 5, batch_norm=False)
    assert head(torch.randn(2, 8, side, side)).shape == (2, 5)
