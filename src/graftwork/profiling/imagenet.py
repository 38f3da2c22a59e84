"""What the pretrained weights of a model scored on ImageNet-1k, where that is published.

Two sources, both by the very file of weights, never by the architecture alone (timm's ResNet-50
scores 78.0 or 81.2 %, as its recipe was): torchvision's own record of every file it publishes, and
`imagenet.csv` beside this module, with timm's results (Apache-2.0) and others; each row names its
source and the size of the pictures that were tested.
"""

from __future__ import annotations

import csv
import dataclasses
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from graftwork.models.base import Model, Weights

TABLE = Path(__file__).with_name("imagenet.csv")


@dataclass(frozen=True)
class Accuracy:
    """Published scores on ImageNet-1k's validation pictures."""

    top1: float  # %
    top5: float | None  # %; None: not given
    size: int | None  # px of the pictures; None: not given
    source: str


def accuracy_of(model: Model, tag: str = "") -> Accuracy | None:
    """The published score of the model's weights; None: it has none, or nobody says.

    Args:
        tag: `architecture.tag` of the weights where the source names the architecture alone.
    """
    return None if model.weights is None else published(model.weights, tag)


def published(weights: Weights, tag: str = "") -> Accuracy | None:
    """The same of weights alone."""
    fields = dataclasses.asdict(weights.source).values()
    named = [Path(value).name for value in fields if isinstance(value, str)]
    found = (_recorded(name) for name in [*named, tag])
    return next((accuracy for accuracy in found if accuracy), None)


def _recorded(name: str) -> Accuracy | None:
    return _table().get(name) or (_torchvision().get(name) if name.endswith(".pth") else None)


@cache
def _table() -> dict[str, Accuracy]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return {
            row["weights"]: Accuracy(
                float(row["top1"]),
                float(row["top5"]) if row["top5"] else None,
                int(row["size"]),
                row["source"],
            )
            for row in csv.DictReader(file)
        }


@cache
def _torchvision() -> dict[str, Accuracy]:
    """By file name: `<network>-<beginning of its sha256>.pth`."""
    from graftwork.process.vision import torchvision

    found = {}
    for name in torchvision.models.list_models(torchvision.models):
        for weights in torchvision.models.get_model_weights(name):
            scores = weights.meta["_metrics"].get("ImageNet-1K")
            if scores:
                sizes = getattr(weights.transforms, "keywords", {})
                found[Path(weights.url).name] = Accuracy(
                    scores["acc@1"], scores["acc@5"], sizes.get("crop_size"), "torchvision"
                )
    return found
