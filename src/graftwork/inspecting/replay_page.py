"""The page of `graftwork replay`: one HTML file that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graftwork.data.images import DecodedImages
from graftwork.inspecting.replay_words import Facts
from graftwork.inspecting.tiles import png
from graftwork.reporting.pages import render
from graftwork.reporting.report import thumbnail

if TYPE_CHECKING:
    from graftwork.experiment import Experiment
    from graftwork.storage.artifacts import Artifacts
    from graftwork.training.replaying import Seen


def write(
    artifacts: Artifacts,
    experiment: Experiment,
    classes: Sequence[str],
    record: Mapping[str, Any],
    seen: Sequence[Seen],
    facts: Facts,
) -> Path:
    """Writes the page and says where it is.

    Args:
        classes: names, by label.
        record: as it was written down.
        seen: what each process found now.
    """
    parts = (experiment.dataset.name, experiment.model.name, experiment.transfer.name)
    html = render(
        "replay.html.jinja",
        title=" · ".join(parts),
        wrong=record["wrong"],
        epoch=record["epoch"] + 1,
        step=record["step"] + 1,
        done=record["done"],
        seed=record["seed"],
        same=facts.same,
        rows=facts.rows,
        layer=any(facts.wrong),
        side=seen[0].images.shape[1],
        maps=seen[0].images.ndim != 4 or seen[0].images.shape[-1] != 3,
        processes=[
            _pictures(DecodedImages(artifacts, experiment.dataset), classes, *each)
            for each in zip(record["shown"], seen, facts.wrong, strict=True)
        ],
    )
    artifacts.replay.parent.mkdir(parents=True, exist_ok=True)
    artifacts.replay.write_text(html, encoding="utf-8")
    return artifacts.replay


def _pictures(
    photos: DecodedImages,
    classes: Sequence[str],
    shown: Mapping[str, Any],
    seen: Seen,
    wrong: Sequence[int],
) -> list[dict[str, Any]]:
    """A process's part of the step; those without numbers first."""
    found = []
    for number, (path, sha256, label) in enumerate(
        zip(shown["path"], shown["sha256"], shown["label"], strict=True)
    ):
        image = _picture(seen.images[number]) or thumbnail(photos.get(sha256, path))
        about = {"class": classes[label], "name": Path(path).name, "number": number + 1}
        found.append({**about, "image": image, "wrong": number in wrong})
    return sorted(found, key=lambda each: not each["wrong"])


def _picture(seen: np.ndarray) -> str | None:
    """Lossless, as the network had it; None: of a map there is no picture."""
    if seen.ndim != 3 or seen.shape[-1] != 3:
        return None
    return png(np.rint(seen).clip(0, 255).astype(np.uint8))
