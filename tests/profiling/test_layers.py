"""The resource table: against sums by hand, on the classic networks and awkward ones."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from graftwork.process.vision import timm, torchvision
from graftwork.profiling.layers import Layer, layers


def total_macs(rows: list[Layer]) -> int:
    return sum(row.macs for row in rows)


def meta(name: str) -> nn.Module:
    with torch.device("meta"):
        return timm.create_model(name)


def test_a_convolution_by_hand():
    row = layers(nn.Sequential(nn.Conv2d(3, 8, 5, stride=2, padding=2)), (3, 32, 20))[0]
    assert row == Layer("0", "Conv2d", (8, 16, 10), 5.0, 608, 16 * 10 * 8 * 3 * 25, 5)


@pytest.mark.parametrize("groups", [1, 4, 16])
def test_grouped_and_depthwise_convolutions(groups):
    row = layers(nn.Sequential(nn.Conv2d(16, 32, 3, padding=1, groups=groups)), (16, 14, 14))[0]
    assert row.macs == 14 * 14 * 32 * (16 // groups) * 9


def test_a_linear_layer_over_tokens_keeps_their_shape():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.patches = nn.Conv2d(3, 12, 4, stride=4)
            self.fc = nn.Linear(12, 20)

        def forward(self, x):
            return self.fc(self.patches(x).flatten(2).transpose(1, 2))

    row = layers(Tokens(), (3, 16, 16))[1]
    assert (row.output, row.macs, row.receptive_field) == ((16, 20), 16 * 12 * 20, 4)


# 12 blocks of width 192, 197 tokens, 3 heads: patches, qkv, attention (twice), projection, MLP.
VIT_TINY = 196 * 768 * 192 + 12 * (197 * 192 * 192 * 12 + 2 * 197 * 197 * 192) + 192 * 1000


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_fused_attention_is_counted_wherever_the_weights_are(device):
    with torch.device(device):
        network = timm.create_model("vit_tiny_patch16_224")
    assert total_macs(layers(network, (3, 224, 224))) == VIT_TINY


def test_fused_attention_is_counted_where_meta_tensors_fail():
    class Stubborn(nn.Module):
        """Asks for a value, as some forward methods do."""

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 4, stride=4)

        def forward(self, x):
            x = self.conv(x).flatten(2).transpose(1, 2)[:, None].contiguous()
            return F.scaled_dot_product_attention(x, x, x) * float(x.sum() * 0 + 1)

    rows = layers(Stubborn(), (3, 32, 32))
    assert [row.macs for row in rows] == [64 * 48 * 8, 2 * 64 * 64 * 8]
    assert [row.receptive_field for row in rows] == [4, None]


def test_torch_own_counter_misses_it_there():
    """The reason for the formula of our own; once this fails, that can go."""
    from torch.utils.flop_counter import flop_registry

    assert torch.ops.aten._scaled_dot_product_flash_attention_for_cpu not in flop_registry


@pytest.mark.parametrize(
    ("name", "mparameters", "mmacs"),
    [
        ("mobilenetv2_100", 3.50, 301),  # Sandler et al. 2018: 300 M
        ("densenet121", 7.98, 2834),
        ("mobilenetv3_large_100", 5.48, 217),  # Howard et al. 2019: 219 M
        ("convnext_tiny", 28.59, 4456),  # Liu et al. 2022: 4.5 G
        ("swin_tiny_patch4_window7_224", 28.29, 4491),  # Liu et al. 2021: 4.5 G
        ("resnext50_32x4d", 25.03, 4230),
    ],
)
def test_networks_of_many_kinds(name, mparameters, mmacs):
    network = meta(name)
    rows = layers(network, (3, 224, 224))
    parameters = sum(row.parameters for row in rows)
    assert parameters == sum(p.numel() for p in network.parameters())
    assert parameters / 1e6 == pytest.approx(mparameters, abs=0.005)
    assert total_macs(rows) / 1e6 == pytest.approx(mmacs, abs=0.5)


def test_what_evaluation_leaves_out_is_listed_but_not_run():
    network = torchvision.models.googlenet(init_weights=False, aux_logits=True)
    rows = {row.name: row for row in layers(network, (3, 224, 224))}
    head = rows["aux1.fc1"]
    assert (head.output, head.macs, head.parameters) == ((), 0, 2_098_176)
    assert sum(row.parameters for row in rows.values()) == 13_004_888


def test_parameters_outside_layers_have_rows_of_their_own():
    rows = {row.name: row for row in layers(meta("vit_tiny_patch16_224"), (3, 224, 224))}
    assert rows["pos_embed"].parameters == 197 * 192
    assert rows["cls_token"].kind == "Parameter"


def test_the_network_stays_as_it_was():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network[1].eval()
    layers(network, (3, 8, 8))
    assert [module.training for module in network] == [True, False, True]
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]) and tensor.device.type == "cpu"
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())


def test_a_layer_run_twice_is_one_row_with_both_runs():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 3, padding=1, bias=False)

        def forward(self, x):
            return self.conv(self.conv(x))

    (row,) = layers(Twice(), (4, 8, 8))
    assert (row.parameters, row.macs, row.receptive_field) == (144, 2 * 64 * 144, 5)
