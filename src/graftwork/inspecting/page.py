"""The page: one HTML file that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from graftwork.data.images.resizing import resize
from graftwork.inspecting.model_views import Case, Evidence, GroupMaps, Look
from graftwork.inspecting.photos import Answers, Photo
from graftwork.inspecting.tiles import filter_pixels, greyed, grid, heated, map_pixels, png
from graftwork.model_folder.contents import Contract
from graftwork.reporting.pages import render
from graftwork.reporting.report import thumbnail

PHOTO = 224  # px, side of photos and heat
TILE = 76  # px, side of a feature map
FILTER = 40  # px, about the side of a filter
COLUMNS = 20  # of filters
FILTERS = 160  # shown at most
DRIFT = 0.1  # of a probability: another precision differs by hundredths, another model by more


@dataclass(frozen=True)
class Shown:
    """A class on the page: its probability and where the evidence lies."""

    name: str
    probability: float
    picture: str  # data URI
    empty: bool  # no place stands out


@dataclass(frozen=True)
class Card:
    """A photo on the page, with its evidence."""

    name: str
    photo: str  # data URI
    predicted: Shown
    other: Shown | None


def write(path: Path, look: Look, contract: Contract, answers: Answers, *, views: int = 1) -> None:
    """Writes the page.

    Args:
        path: of the HTML file.
        look: what there is to see.
        contract: of the model.
        answers: which photos of `look` are right and wrong answers; none of both: not known.
        views: of a photo, of which recorded answers are the mean; shown is one.
    """
    grey = contract.input_spec.channels == 1
    cards = [_card(case, contract.classes, grey) for case in look.cases]
    known = len(answers.right) + len(answers.wrong)
    training = contract.training
    parts = (contract.architecture.get("name"), training.get("strategy"))
    html = render(
        "inspect.html.jinja",
        title=" · ".join(str(part) for part in parts if part),
        contract=contract,
        filters=_filters(look.filters),
        groups=[_strips(group, look.mapped, grey) for group in look.groups],
        mapped=[photo.name for photo in look.mapped],
        target=look.target,
        tokens=look.tokens,
        right=cards[: len(answers.right)],
        wrong=cards[len(answers.right) : known],
        unknown=cards[known:],
        answers=answers,
        stale=views == 1 and look.drift > DRIFT,
        views=views,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html, encoding="utf-8")


def _filters(weights: np.ndarray | None) -> dict[str, Any] | None:
    """The first layer as one sheet; of very many filters those with the largest norm."""
    if weights is None:
        return None
    count, channels, height, width = weights.shape
    norms = np.linalg.norm(weights.reshape(count, -1), axis=1)
    kept = np.sort(np.argsort(-norms, kind="stable")[:FILTERS])
    magnified = max(1, round(FILTER / max(height, width)))
    sheet = grid(filter_pixels(weights[kept]), COLUMNS, magnified)
    shape = {"count": count, "channels": channels, "height": height, "width": width}
    return shape | {"shown": len(kept), "picture": png(sheet), "pixels": sheet.shape[1]}


def _strips(group: GroupMaps, photos: Sequence[Photo], grey: bool) -> dict[str, Any]:
    """A row for each photo, the photo itself first; the same channel in the same column."""
    columns = [map_pixels(group.maps[:, index], TILE) for index in range(len(group.channels))]
    rows = [
        grid(np.stack([_sized(photo, TILE, grey), *(column[row] for column in columns)]), 99)
        for row, photo in enumerate(photos)
    ]
    return {
        "name": group.group,
        "shape": group.shape,
        "channels": group.channels,
        "strips": [png(row) for row in rows],
    }


def _card(case: Case, classes: Sequence[str], grey: bool) -> Card:
    photo = _sized(case.photo, PHOTO, grey)
    other = None if case.other is None else _shown(case.other, photo, classes)
    predicted = _shown(case.predicted, photo, classes)
    return Card(case.photo.name, thumbnail(photo, PHOTO), predicted, other)


def _shown(evidence: Evidence, photo: np.ndarray, classes: Sequence[str]) -> Shown:
    heat = np.clip(cv2.resize(evidence.heat, (PHOTO, PHOTO)), 0, 1)
    return Shown(
        name=classes[evidence.label],
        probability=evidence.probability,
        picture=thumbnail(heated(photo, heat), PHOTO),
        empty=not heat.any(),
    )


def _sized(photo: Photo, side: int, grey: bool) -> np.ndarray:
    """The network's view as RGB; small ones stay blocks of pixels, as the network sees them."""
    view = resize(photo.view, side, side, "nearest")
    return greyed(view) if grey else view
