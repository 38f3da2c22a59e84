from __future__ import annotations

import pytest
import torch

from graftwork.models.backbones.inception_v3 import auxiliary_head
from graftwork.process.vision import timm


def test_it_computes_what_timms_own_does() -> None:
    network = timm.create_model("inception_v3", num_classes=5, aux_logits=True)
    head = auxiliary_head(network, 5).eval()
    head.load_state_dict(network.AuxLogits.state_dict())
    maps = torch.randn(2, 768, 17, 17)
    assert torch.equal(head(maps), network.AuxLogits.eval()(maps))


def test_it_starts_as_timms_own() -> None:
    torch.manual_seed(0)
    network = timm.create_model("inception_v3", num_classes=50, aux_logits=True)
    theirs = network.AuxLogits.state_dict()
    for name, tensor in auxiliary_head(network, 50).state_dict().items():
        if tensor.ndim > 1:
            assert tensor.std().item() == pytest.approx(theirs[name].std().item(), rel=0.02), name


def test_smaller_maps_go_too() -> None:
    head = auxiliary_head(timm.create_model("inception_v3", num_classes=0), 5).eval()
    for side in (4, 16, 17, 20):
        assert head(torch.randn(2, 768, side, side)).shape == (2, 5)
