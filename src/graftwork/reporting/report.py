"""The report: one HTML file that needs nothing but itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from graftwork.metrics.base import Metric
from graftwork.metrics.log_loss import log_losses
from graftwork.reporting.certainty import no_width_note
from graftwork.reporting.choice import Choice
from graftwork.reporting.pages import render
from graftwork.reporting.per_class import ClassScore
from graftwork.reporting.view_gain import ViewGain

if TYPE_CHECKING:
    import pandas as pd

    from graftwork.data.images import DecodedImages
    from graftwork.training.audit_record import Audit

THUMBNAIL = 160  # px, longer side of a photo in the report


@dataclass(frozen=True)
class Mistake:
    """A wrong prediction with its photo."""

    name: str  # file name
    actual: str
    predicted: str
    probability: float  # of the prediction
    own: float  # of the right class
    photo: str  # data URI


@dataclass(frozen=True)
class Copy:
    """A picture of train or val that another split has, too, in other bytes."""

    name: str  # file name
    split: str
    photo: str  # data URI
    kept_name: str
    kept_in: str  # split of the other
    kept_photo: str


@dataclass(frozen=True)
class Report:
    """What the report shows."""

    title: str  # data, model and strategy
    split: str  # which pictures are drawn and headline: those of plots.TEST or plots.HELD_OUT
    scores: Mapping[str, Mapping[str, float]]  # theirs; the first is the headline; may be empty
    metrics: Mapping[str, Metric]  # of the same names
    confidence: float  # of the intervals
    cost: Mapping[str, Any]  # as in metrics.json
    profile: Mapping[str, Any]  # of the network (graftwork.profiling.stored)
    choice: Choice  # how what is kept was chosen
    views: ViewGain | None  # what several views of a test picture gain; None: there was one
    engine: str  # how the network was run on test pictures, in words; empty: it was not
    audit: Audit | None  # what was trained; None: not known
    movement: Sequence[Mapping[str, str]]  # the same as lines of a table
    # intervals, confusion, classes, calibration, training, movement
    pictures: Mapping[str, Markup | None]
    classes: Sequence[ClassScore]
    mistakes: Sequence[Mistake]  # the worst first
    wrong: int  # pictures that were not recognised
    copies: Sequence[Copy]  # the first of them
    data: Mapping[str, Any]  # data/report.json: findings, counts by split and class, and more
    configuration: str  # params.yaml
    lineage: Mapping[str, str]  # facts about code, data, weights and versions


def write(path: Path, report: Report) -> None:
    """Writes the report as one HTML file."""
    rows = [
        {
            "metric": report.metrics[name],
            **score,
        }
        for name, score in report.scores.items()
    ]
    known: dict[str, Any] = {"findings": [], "splits": {}, "classes": {}}
    details = {name: found for name, found in report.data.items() if name not in known}
    shown = vars(report) | {"data": known | dict(report.data)}
    certainty = no_width_note(report.scores, report.metrics)
    shown |= {
        "rows": rows,
        "head": rows[0] if rows else None,
        "details": details,
        "certainty": certainty,
    }
    html = render("report.html.jinja", **shown)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html, encoding="utf-8")


def worst_mistakes(
    frame: pd.DataFrame,
    names: Sequence[str],
    probabilities: np.ndarray,
    images: DecodedImages,
    count: int,
) -> list[Mistake]:
    """The wrong predictions that gave the right class the least, at most `count`.

    Args:
        frame: rows of the manifest (path, label, sha256), in the order of `probabilities`.
        names: of the classes.
        probabilities: `[n, num_classes]`.
        images: where the photos are.
    """
    labels, predicted = frame["label"].to_numpy(), probabilities.argmax(axis=1)
    losses = log_losses(probabilities, labels)
    wrong = np.flatnonzero(labels != predicted)
    worst = wrong[np.argsort(-losses[wrong], kind="stable")][:count]
    found = []
    for index in worst:
        row = frame.iloc[index]
        found.append(
            Mistake(
                name=Path(row["path"]).name,
                actual=names[labels[index]],
                predicted=names[predicted[index]],
                probability=float(probabilities[index, predicted[index]]),
                own=float(probabilities[index, labels[index]]),
                photo=thumbnail(images.get(row["sha256"], row["path"])),
            )
        )
    return found


def copies(found: Mapping[str, Any], images: DecodedImages, count: int) -> list[Copy]:
    """Pairs of pictures that show the same in two splits, at most `count`.

    Args:
        found: data/report.json.
        images: where the photos are.
    """
    files = found.get("same_picture", {}).get("across_splits", {}).get("files", [])
    return [
        Copy(
            name=Path(row["path"]).name,
            split=row["split"],
            photo=thumbnail(images.get(row["sha256"], row["path"])),
            kept_name=Path(row["same_as"]).name,
            kept_in=row["kept_in"],
            kept_photo=thumbnail(images.get(row["same_sha256"], row["same_as"])),
        )
        for row in files[:count]
    ]


def thumbnail(image: np.ndarray, side: int = THUMBNAIL) -> str:
    """uint8 RGB `[h, w, 3]` as a JPEG of at most `side` px in a data URI."""
    from PIL import Image

    from graftwork.data.images.resizing import resize

    height, width = image.shape[:2]
    share = min(1.0, side / max(height, width))
    small = resize(image, max(1, round(width * share)), max(1, round(height * share)), "bilinear")
    buffer = io.BytesIO()
    Image.fromarray(small).save(buffer, "JPEG", quality=80, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
