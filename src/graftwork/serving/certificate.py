"""Whether an export says what the model says: both are asked about the same real photos."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graftwork.metrics.paired import mean_over
from graftwork.metrics.softmax import softmax
from graftwork.process.progress import count_bar
from graftwork.serving.format import Run, Tolerance
from graftwork.serving.real_photos import RealPhotos, Seen

if TYPE_CHECKING:
    from graftwork.model_folder.contents import Contract
    from graftwork.models.network.classifier import Classifier
    from graftwork.serving.photo_view import PhotoView

BATCH = 32  # views at a time
LEVELS = 0.6  # of 255, mean over a photo: what rounding comes to; another interpolation: 1 to 10
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Answers:
    """Probabilities `[n, classes]` of the same photos."""

    export: np.ndarray  # what the export says
    network: np.ndarray  # what the network in torch says of the pixels that the export looked at
    evaluation: np.ndarray  # what it says of those that evaluation looks at
    levels: np.ndarray  # [n], of 255: how far these pixels are apart, decoded alike


def answers(
    run: Run, photos: RealPhotos, classifier: Classifier, contract: Contract, view: PhotoView | None
) -> Answers:
    """Asks both about all photos; memory holds a few of them.

    Args:
        run: the export, by its runtime.
        view: what stands in the export before the network; None: it takes views.

    Raises:
        UserError: a photo cannot be read.
    """
    said: list[list[np.ndarray]] = [[], [], [], []]
    with count_bar("Trying the export", len(photos.refs)) as bar:
        done = 0
        for batch in _batches(photos, contract):
            for column, found in zip(said, _asked(run, batch, classifier, view), strict=True):
                column.append(found)
            done += len(batch)
            bar(done)
    export, network, evaluation, levels = map(np.concatenate, said)
    return Answers(softmax(export), softmax(network), softmax(evaluation), levels)


def _batches(photos: RealPhotos, contract: Contract) -> Iterator[list[Seen]]:
    for start in range(0, len(photos.refs), BATCH):
        yield [photos.seen(ref, contract) for ref in photos.refs[start : start + BATCH]]


def _asked(
    run: Run, batch: list[Seen], classifier: Classifier, view: PhotoView | None
) -> tuple[np.ndarray, ...]:
    """The columns of `Answers` as logits, and levels."""
    from graftwork.features.engines.torch_engine import eager_features

    views = np.stack([one.view for one in batch])
    evaluated = eager_features(classifier, views, classifier)
    if view is None:
        return run(views), evaluated, evaluated, np.zeros(len(batch))
    shown = np.stack([_shown(view, one.pixels) for one in batch])
    resized = np.stack([one.resized for one in batch]).astype(np.float64)
    return (
        np.concatenate([run(np.array(one.pixels[None])) for one in batch]),
        eager_features(classifier, shown, classifier),
        evaluated,
        np.abs(shown - resized).mean(axis=(1, 2, 3)),
    )


def _shown(view: PhotoView, pixels: np.ndarray) -> np.ndarray:
    """What an export looks at of one photo, uint8 `[S, S, 3]`, as torch computes it."""
    import torch

    with torch.inference_mode():
        seen = view(torch.tensor(pixels[None]))[0].permute(1, 2, 0)
    return np.ascontiguousarray(seen.to(torch.uint8).numpy())


def compared(found: Answers, labels: np.ndarray) -> dict[str, Any]:
    """What `certificate.json` says of the answers.

    Returns:
        `photos`; `network` and `evaluation`, each with `largest_difference`, `mean_difference`
        (of probabilities: of any class; of each photo's largest) and `flips`; `levels`; and where
        at least two photos have labels, `accuracy` of the export and the model with their paired
        `difference`.
    """
    told: dict[str, Any] = {
        "photos": len(found.export),
        "network": _apart(found.export, found.network),
        "evaluation": _apart(found.export, found.evaluation),
        "levels": float(found.levels.max()),
    }
    known = labels >= 0
    if known.sum() >= 2:
        export, model = (
            (said[known].argmax(axis=1) == labels[known]).astype(np.float64)
            for said in (found.export, found.evaluation)
        )
        told["accuracy"] = {
            "photos": int(known.sum()),
            "export": float(export.mean()),
            "model": float(model.mean()),
            "difference": vars(mean_over((export - model)[None], CONFIDENCE)),
        }
    return told


def _apart(left: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    apart = np.abs(left.astype(np.float64) - right).max(axis=1)
    return {
        "largest_difference": float(apart.max()),
        "mean_difference": float(apart.mean()),
        "flips": int((left.argmax(axis=1) != right.argmax(axis=1)).sum()),
    }


def what_differs(told: dict[str, Any], tolerance: Tolerance) -> str:
    """Why the export is refused, in a sentence; nothing where it is not."""
    if told["levels"] > LEVELS:
        return (
            f"what it makes of a photo is {told['levels']:.3g} of 255 levels from what evaluation "
            f"sees; rounding explains {LEVELS}. Photos are resized or cropped in another way."
        )
    same = told["network"]
    for name, most in (("largest", tolerance.largest), ("mean", tolerance.mean)):
        apart = same[f"{name}_difference"]
        if not apart <= most:
            return (
                f"its probabilities are not the model's: the {name} difference is {apart:.3g}, "
                f"{most:.3g} is its tolerance; {same['flips']} of {told['photos']} photos get "
                "another answer, of the same pixels."
            )
    return ""
