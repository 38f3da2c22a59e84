"""Receptive fields: by formula, and against what really reaches a position."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from graftwork.process.vision import timm
from graftwork.profiling.layers import layers


def sees(*modules: nn.Module, side: int = 64) -> list[int | None]:
    return [row.receptive_field for row in layers(nn.Sequential(*modules), (2, side, side))]


def conv(kernel: int, **options: int) -> nn.Conv2d:
    return nn.Conv2d(2, 2, kernel, **options)


@pytest.mark.parametrize(("count", "kernel"), [(1, 5), (2, 3), (3, 3), (4, 7)])
def test_a_stack_of_convolutions(count, kernel):
    """Two 3x3 see what one 5x5 sees, three what one 7x7 sees."""
    assert sees(*[conv(kernel)] * count)[-1] == 1 + count * (kernel - 1)


def test_strides_multiply_what_comes_after():
    assert sees(conv(7, stride=2), nn.MaxPool2d(3, 2), conv(3), conv(3, stride=2), conv(1)) == [
        7, 11, 19, 27, 27,
    ]  # fmt: skip


def test_dilation_spreads_the_kernel():
    assert sees(conv(3), conv(3, dilation=4), nn.MaxPool2d(3, 1, dilation=2)) == [3, 11, 15]


def test_a_pooling_without_a_stride_steps_by_its_size():
    assert sees(nn.AvgPool2d(2), conv(3)) == [2, 6]


def test_the_largest_branch_counts_and_the_longer_side():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.narrow = conv(1)
            self.wide = nn.Sequential(nn.Conv2d(2, 2, (1, 7), padding=(0, 3)), conv(3, padding=1))
            self.joined = nn.Conv2d(4, 2, 1)

        def forward(self, x):
            return self.joined(torch.cat([self.narrow(x), self.wide(x)], dim=1))

    assert [row.receptive_field for row in layers(Branches(), (2, 32, 32))] == [1, 7, 9, 9]


@pytest.mark.parametrize(
    "mixing",
    [
        nn.AdaptiveAvgPool2d(1),
        nn.AdaptiveMaxPool2d(1),
        nn.Sequential(nn.Flatten(), nn.Linear(2 * 62 * 62, 3)),
    ],
)
def test_whatever_mixes_all_positions_sees_everything(mixing):
    assert sees(conv(3), mixing) == [3, None]


def test_an_adaptive_pooling_to_the_size_that_is_there_changes_nothing():
    assert sees(conv(3), nn.AdaptiveAvgPool2d(62), conv(3)) == [3, 5]


def test_mixing_tokens_sees_everything_but_mixing_channels_does_not():
    with torch.device("meta"):
        network = timm.create_model("mixer_s32_224")
    rows = {row.name: row.receptive_field for row in layers(network, (3, 224, 224))}
    assert rows["blocks.0.norm1"] == 32
    assert rows["blocks.0.mlp_tokens.fc1"] is None


def test_a_gate_from_a_global_mean_lets_everything_through():
    with torch.device("meta"):
        network = timm.create_model("efficientnet_b0")
    rows = {row.name: row.receptive_field for row in layers(network, (3, 224, 224))}
    assert rows["blocks.0.0.conv_dw"] == 7
    assert rows["blocks.0.0.conv_pw"] is None


@pytest.mark.parametrize(
    ("name", "layer", "px"),
    [("resnet18", "layer2.1.bn2", 99), ("resnet50", "layer2.3.bn3", 91)],
)
def test_it_is_what_the_gradient_of_one_position_reaches(name, layer, px):
    """All weights positive and no non-linearity: nothing can cancel."""
    network = timm.create_model(name, zero_init_last=False).eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1.0 / module.weight[0].numel())
        elif isinstance(module, nn.MaxPool2d):
            kernel, stride, padding = module.kernel_size, module.stride, module.padding
    network.maxpool = nn.AvgPool2d(kernel, stride, padding)
    side = 256
    rows = {row.name: row.receptive_field for row in layers(network, (3, side, side))}
    seen: list[torch.Tensor] = []
    network.get_submodule(layer).register_forward_hook(lambda *args: seen.append(args[2]))
    image = torch.ones(1, 3, side, side, requires_grad=True)
    network(image)
    middle = seen[0].shape[-1] // 2
    seen[0][0, :, middle, middle].sum().backward()
    reached = image.grad[0].abs().sum(0).amax(0) > 0
    assert rows[layer] == int(reached.sum()) == px
