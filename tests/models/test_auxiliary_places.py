from __future__ import annotations

import pytest
import torch
from conftest import composed

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.models.auxiliary_places import PLACES, auxiliary_names
from graftwork.models.backbones import register
from graftwork.models.base import Model
from graftwork.models.timm_model import is_registered
from graftwork.process.vision import timm
from graftwork.transfer.bound.auxiliary_heads import new_heads

register()


def test_every_architecture_that_is_listed_exists() -> None:
    assert all(is_registered(name) for name in PLACES)


@pytest.mark.parametrize("name", PLACES)
def test_heads_fit_the_places_that_they_hang_on(name: str) -> None:
    with torch.device("meta"):  # shapes are enough
        backbone = timm.create_model(name, num_classes=0).eval()
        heads = new_heads(backbone, 5)
    assert list(heads) == list(PLACES[name].values())
    shapes = {}
    for place, head in heads.items():
        backbone.get_submodule(place).register_forward_hook(
            lambda m, i, out, place=place, head=head: shapes.update({place: head(out).shape})
        )
    backbone(torch.zeros(2, 3, 96, 96, device="meta"))
    assert shapes == dict.fromkeys(heads, (2, 5))


@pytest.mark.parametrize("name", PLACES)
def test_new_heads_are_named_as_the_networks_own(name: str) -> None:
    """So that what files hold of them is recognised."""
    with torch.device("meta"):
        backbone = timm.create_model(name, num_classes=5, aux_logits=True)
        heads = new_heads(backbone, 5)
    state = backbone.state_dict()
    names = auxiliary_names(backbone, list(state))
    expected = {
        f"{own}.{leaf}": tensor.shape
        for own, place in PLACES[name].items()
        for leaf, tensor in heads[place].state_dict().items()
    }
    assert {name: state[name].shape for name in names} == expected
    plain = timm.create_model("tiny_cnn")
    assert not auxiliary_names(plain, list(state))


def test_a_network_without_places_is_refused() -> None:
    params = composed("model=tiny_cnn", "model.auxiliary_weight=0.3")["model"]
    with pytest.raises(UserError, match=r"auxiliary_weight: 0\.3, but tiny_cnn.*Legal: 0, or"):
        build(params, Model, "model")


def test_heads_that_would_stay_are_refused() -> None:
    params = composed("model=googlenet", "+model.options.aux_logits=true")["model"]
    with pytest.raises(UserError, match=r"aux_logits.*model\.auxiliary_weight=0\.3"):
        build(params, Model, "model")


def test_a_negative_weight_is_refused() -> None:
    params = composed("model=googlenet", "model.auxiliary_weight=-0.1")["model"]
    with pytest.raises(UserError, match="auxiliary_weight: -0.1"):
        build(params, Model, "model")
