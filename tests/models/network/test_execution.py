"""Layers in the order of execution, counted as Keras counts them."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from small_network import network

from graftwork.models.network.execution import executed_layers
from graftwork.transfer.parts import Moment
from graftwork.transfer.trainable_parameters import LaterLayers


def test_the_first_140_layers_of_resnet50_are_everything_up_to_the_end_of_layer3() -> None:
    """Keras counts 175 without its last pooling; three of them are no layers here, all before the
    first block: the input and two paddings."""
    with torch.device("meta"):
        classifier = network("resnet50", pooling="avg")
    layers = executed_layers(classifier)
    counts = Counter(layer.kind for layer in layers)
    assert len(layers) == 175 - 3
    assert counts == {
        "convolution": 53, "normalisation": 53, "activation": 49, "addition": 16, "pooling": 1,
    }  # fmt: skip
    layout = classifier.layout()
    trained = LaterLayers("140").parameters(layout, Moment.of_epoch(0, 1))
    assert layout.touched(trained) == [False, False, False, False, True]
    assert trained == frozenset(layout.groups[-1].parameters)
    (note,) = LaterLayers("140").notes(layout)
    assert "stem 4 of 4, layer1 32 of 32, layer2 42 of 42, layer3 62 of 62, layer4 0 of 32" in note
    earlier = LaterLayers("139").parameters(layout, Moment.of_epoch(0, 1))
    assert earlier == trained  # the last layer of layer3 is an activation
    assert len(LaterLayers("137").parameters(layout, Moment.of_epoch(0, 1)) - trained) == 2


@pytest.mark.parametrize(
    ("architecture", "kinds"),
    [
        # BatchNormAct is two layers, branches are joined by concatenations.
        ("densenet121", {"convolution": 120, "normalisation": 121, "concatenation": 58}),
        # A block's own scale is no layer, nor is the block a convolution for being named so.
        ("convnext_atto", {"convolution": 40, "normalisation": 17, "addition": 12}),
        ("vit_tiny_patch16_224", {"dense": 48, "normalisation": 25, "activation": 12}),
    ],
)
def test_kinds_of_layers(architecture: str, kinds: dict[str, int]) -> None:
    with torch.device("meta"):
        classifier = network(architecture).train()
    counts = Counter(layer.kind for layer in executed_layers(classifier))
    assert kinds.items() <= counts.items()
    assert classifier.training


def test_every_parameter_is_within_all_layers() -> None:
    for architecture in ("convnext_atto", "vit_tiny_patch16_224"):
        with torch.device("meta"):
            layout = network(architecture).layout()
        assert layout.within(len(layout.executed)) == frozenset(layout.parameters)
        assert layout.within(0) == frozenset()
        first = layout.within(layout.places.index(1))  # up to the end of the stem
        assert first >= frozenset(layout.groups[0].parameters)
