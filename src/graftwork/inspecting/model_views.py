"""Everything on the page that the network has to be run for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from graftwork.config.errors import UserError, unknown
from graftwork.inspecting.grad_cam import grad_cam, last_that_matters
from graftwork.inspecting.photos import Photo
from graftwork.model_folder import contents as model_folder
from graftwork.models.network.classifier import Classifier
from graftwork.models.network.group_outputs import (
    GroupOutput,
    feature_maps,
    first_filters,
    group_outputs,
    strongest,
)
from graftwork.process.progress import count_bar

BATCH = 8  # photos that Grad-CAM takes at a time: every activation of each is kept
CHANNELS = 12  # feature maps of a group


@dataclass(frozen=True)
class Evidence:
    """What speaks for one class in one photo."""

    label: int
    probability: float  # that the network gives it
    heat: np.ndarray  # [size, size] in [0, 1]


@dataclass(frozen=True)
class Case:
    """A photo, its predicted class, and what speaks for this and for a second one."""

    photo: Photo
    predicted: Evidence
    other: Evidence | None  # the true class of a wrong answer; the runner-up of an unknown one


@dataclass(frozen=True)
class GroupMaps:
    """The feature maps of one layer group that vary most."""

    group: str
    shape: tuple[int, int, int]  # of all maps: channels, height, width
    channels: list[int]  # which ones
    maps: np.ndarray  # [photos, channels, height, width] of these


@dataclass(frozen=True)
class Look:
    """What there is to see."""

    filters: np.ndarray | None  # [n, C, h, w]; None: the first layer has none over the pixels
    mapped: list[Photo]  # whose feature maps are shown
    groups: list[GroupMaps]
    target: str  # the group whose maps Grad-CAM weighs
    tokens: bool  # a transformer, whose places mix with every block
    cases: list[Case]
    drift: float  # largest difference to a recorded probability


def look(folder: Path, photos: Sequence[Photo], mapped: Sequence[int], group: str | None) -> Look:
    """Runs the trained network over the photos.

    Args:
        folder: of the model.
        photos: at least one.
        mapped: positions of the photos whose feature maps are shown; those beyond are left out.
        group: layer group of Grad-CAM; None: the last whose positions reach the logits.

    Raises:
        UserError: an unknown group; a damaged model; a network without positions.
    """
    classifier, _ = model_folder.load(folder)
    views = torch.from_numpy(np.stack([photo.view for photo in photos]))
    images = classifier.normalise(views)
    outputs = group_outputs(classifier)
    target = _target(classifier, outputs, group, images[:1])
    with torch.no_grad():
        batches = [classifier(batch).double() for batch in images.split(BATCH)]
    probabilities = torch.cat(batches).softmax(dim=1).numpy()
    filters = first_filters(classifier)
    seen = [index for index in mapped if index < len(photos)]
    return Look(
        filters=None if filters is None else filters.numpy(),
        mapped=[photos[index] for index in seen],
        groups=_group_maps(classifier, outputs, images[seen]),
        target=target.group,
        tokens=hasattr(classifier.backbone, "num_prefix_tokens"),
        cases=_cases(classifier, target, photos, images, probabilities),
        drift=_drift(photos, probabilities),
    )


def _target(
    classifier: Classifier, outputs: list[GroupOutput], group: str | None, images: torch.Tensor
) -> GroupOutput:
    if not outputs:
        raise UserError(
            "inspect: no layer group of this network has positions, so that there is nothing to "
            "see. Networks with feature maps or tokens have them."
        )
    if group is None:
        return last_that_matters(classifier, outputs, images)
    by_name = {output.group: output for output in outputs}
    if group not in by_name:
        raise unknown("--group", group, by_name)
    return by_name[group]


def _group_maps(
    classifier: Classifier, outputs: list[GroupOutput], images: torch.Tensor
) -> list[GroupMaps]:
    found = []
    for group, maps in feature_maps(classifier, outputs, images).items():
        channels = strongest(maps, CHANNELS)
        _, number, height, width = maps.shape
        shape = (number, height, width)
        found.append(GroupMaps(group, shape, channels, maps[:, channels].numpy()))
    return found


def _cases(
    classifier: Classifier,
    target: GroupOutput,
    photos: Sequence[Photo],
    images: torch.Tensor,
    probabilities: np.ndarray,
) -> list[Case]:
    asked = [_classes(*pair) for pair in zip(photos, probabilities, strict=True)]
    pairs = [(index, label) for index, labels in enumerate(asked) for label in labels]
    found: dict[int, list[Evidence]] = {index: [] for index in range(len(photos))}
    with count_bar("Grad-CAM", len(pairs)) as seen:
        for start in range(0, len(pairs), BATCH):
            some = pairs[start : start + BATCH]
            rows, labels = (list(column) for column in zip(*some, strict=True))
            heats = grad_cam(classifier, target, images[rows], labels)
            for (index, label), heat in zip(some, heats, strict=True):
                evidence = Evidence(label, float(probabilities[index, label]), heat)
                found[index].append(evidence)
            seen(start + len(some))
    return [
        Case(photo, found[index][0], found[index][1] if len(found[index]) > 1 else None)
        for index, photo in enumerate(photos)
    ]


def _classes(photo: Photo, probabilities: np.ndarray) -> list[int]:
    """The classes whose evidence is asked for: the prediction first."""
    if photo.predicted is None or photo.actual is None:
        return [int(label) for label in np.argsort(-probabilities, kind="stable")[:2]]
    return list(dict.fromkeys([photo.predicted, photo.actual]))


def _drift(photos: Sequence[Photo], probabilities: np.ndarray) -> float:
    """How far the network is from what evaluation recorded of it."""
    return max(
        (
            abs(photo.probability - float(row[photo.predicted]))
            for photo, row in zip(photos, probabilities, strict=True)
            if photo.predicted is not None and photo.probability is not None
        ),
        default=0.0,
    )
