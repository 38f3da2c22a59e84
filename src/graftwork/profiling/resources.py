"""What `graftwork profile` finds of one model: static costs, memory of training, measurements."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from graftwork.models.base import Model
from graftwork.models.precision import chosen
from graftwork.profiling.imagenet import Accuracy, accuracy_of
from graftwork.profiling.profile import Profile, built, profile_of, trainable_parameters
from graftwork.profiling.published_figures import Remark, remarks
from graftwork.transfer.strategy import Transfer

if TYPE_CHECKING:
    from graftwork.models.network.classifier import Classifier


@dataclass(frozen=True)
class Setting:
    """What a profile is made for."""

    num_classes: int
    batch_size: int  # of a training step, and of the measured throughput
    precision: str  # fp32 or bf16
    measure: bool


@dataclass(frozen=True)
class Resources:
    """One model under one strategy."""

    profile: Profile
    transfer: str
    trainable_parameters: int
    batch_size: int
    precision: str
    training_memory: dict[str, int]  # bytes of a training step by use, and their total
    accuracy: Accuracy | None  # of its pretrained weights on ImageNet-1k
    remarks: list[Remark]
    measured: dict[str, Any] | None

    def as_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        return dataclasses.asdict(self)


def setting(num_classes: int, batch_size: int, precision: str, *, measure: bool = False) -> Setting:
    """With `auto` precision replaced by what this machine does well."""
    return Setting(num_classes, batch_size, chosen(precision, torch.cuda.is_available()), measure)


def resources_of(model: Model, transfer: Transfer, wanted: Setting) -> Resources:
    """Everything about one model.

    Raises:
        UserError: an unknown tag, an input size it cannot take, or a strategy that names a layer
            group that this network lacks.
    """
    classifier = built(model, wanted.num_classes)
    profile = profile_of(classifier, model, wanted.num_classes)
    trained = trainable_parameters(classifier, transfer)
    config = getattr(classifier.backbone, "pretrained_cfg", None) or {}
    tag = f"{config.get('architecture')}.{config.get('tag')}"
    return Resources(
        profile=profile,
        transfer=transfer.name,
        trainable_parameters=trained,
        batch_size=wanted.batch_size,
        precision=wanted.precision,
        training_memory=_training_memory(classifier, model, transfer, wanted),
        accuracy=accuracy_of(model, tag) if transfer.start.is_registry else None,
        remarks=_remarks(profile),
        measured=_measured(model, wanted) if wanted.measure else None,
    )


def _training_memory(
    classifier: Classifier, model: Model, transfer: Transfer, wanted: Setting
) -> dict[str, int]:
    """The forecast by use, and its total. It wants a device: memory of the CPU that nobody touches
    is never really taken."""
    from graftwork.profiling.memory import forecast

    def of(network: Classifier) -> dict[str, int]:
        batch_size, precision = wanted.batch_size, wanted.precision
        found = forecast(network, transfer, batch_size=batch_size, precision=precision)
        return found.as_dict()

    try:
        return of(classifier.to_empty(device="cpu"))
    except RuntimeError:  # it holds further tensors, which stay on the meta device
        return of(model.build(wanted.num_classes, None))


def _remarks(profile: Profile) -> list[Remark]:
    size, layers = profile.input[-1], profile.layers
    return remarks(profile.architecture, size, profile.num_classes, layers)


def _measured(model: Model, wanted: Setting) -> dict[str, Any]:
    from graftwork.profiling.measuring import measure

    return measure(
        model,
        num_classes=wanted.num_classes,
        batch_size=wanted.batch_size,
        precision=wanted.precision,
    ).as_dict()


def examined(
    models: Sequence[Model], transfers: Sequence[Transfer], wanted: Setting
) -> list[Resources]:
    """Every model under its strategy, with a progress bar."""
    from graftwork.process.progress import count_bar

    found = []
    with count_bar("profile", len(models)) as seen:
        for model, transfer in zip(models, transfers, strict=True):
            found.append(resources_of(model, transfer, wanted))
            seen(len(found))
    return found
