"""The static profile of a model: what it costs, said without running it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from graftwork.models.base import Model
from graftwork.profiling.by_group import Group, by_group
from graftwork.profiling.layers import Layer, examined

if TYPE_CHECKING:
    from graftwork.models.network.classifier import Classifier
    from graftwork.transfer.strategy import Transfer

BACKBONE = "backbone."  # where a classifier keeps it; left out of names


@dataclass(frozen=True)
class Profile:
    """What a model costs. Numbers are of one image unless said otherwise."""

    model: str
    architecture: str
    input: tuple[int, int, int]  # channels, height, width
    num_classes: int
    parameters: int
    macs: int
    activation_mib: float  # outputs of all layers, fp32
    layers: list[Layer]
    groups: list[Group]

    def as_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        return dataclasses.asdict(self)


def static_profile(model: Model, num_classes: int) -> Profile:
    """The model with its head, layer by layer.

    Raises:
        UserError: an unknown tag, or an input size that it cannot take.
    """
    return profile_of(built(model, num_classes), model, num_classes)


def built(model: Model, num_classes: int) -> Classifier:
    """The network from random weights: on the meta device, without memory, where it can be."""
    try:
        with torch.device("meta"):
            return model.build(num_classes, None)
    except (NotImplementedError, RuntimeError):  # its construction asks for values
        return model.build(num_classes, None)


def profile_of(classifier: Classifier, model: Model, num_classes: int) -> Profile:
    """As `static_profile`, of a network that is there already; it is not changed."""
    spec = classifier.input_spec
    shape = (spec.channels, spec.size, spec.size)
    found, outputs = examined(classifier, shape)
    groups = by_group(classifier.layer_groups(), found, outputs, BACKBONE)
    named = [dataclasses.replace(row, name=row.name.removeprefix(BACKBONE)) for row in found]
    return Profile(
        model=model.name,
        architecture=getattr(model, "architecture", model.name),
        input=shape,
        num_classes=num_classes,
        parameters=sum(row.parameters for row in found),
        macs=sum(row.macs for row in found),
        activation_mib=sum(row.activation_kib for row in found) / 1024,
        layers=named,
        groups=groups,
    )


def trainable_parameters(classifier: Classifier, transfer: Transfer) -> int:
    """How many parameters the strategy ever trains; all others of the network are frozen.

    Raises:
        UserError: the strategy names a layer that this network lacks.
    """
    ever = transfer.trainable.ever_parameters(classifier.layout(), transfer.epochs)
    transfer.adapter.attach(classifier, seed=0)
    classifier.train_only(ever, transfer.batch_norm)
    count = sum(p.numel() for p in classifier.parameters() if p.requires_grad)
    transfer.adapter.merge(classifier)
    return count
