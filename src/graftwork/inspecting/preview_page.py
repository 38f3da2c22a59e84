"""The page of `graftwork preview`: one HTML file that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graftwork.augmentations.base import Step
from graftwork.inspecting.tiles import greyed, png
from graftwork.process.progress import count_bar
from graftwork.reporting.numbers import number
from graftwork.reporting.pages import render

if TYPE_CHECKING:
    from graftwork.experiment import Experiment
    from graftwork.inspecting.preview import Seen


def write(path: Path, seen: Seen, experiment: Experiment, classes: Sequence[str]) -> None:
    """Writes the page.

    Args:
        path: of the HTML file.
        seen: the pictures.
        classes: names, by label.
    """
    parts = (experiment.dataset.name, experiment.model.name, experiment.augmentation.name)
    html = render(
        "preview.html.jinja",
        title=" · ".join(parts),
        seed=experiment.seed,
        strategy=experiment.transfer.name,
        trains=bool(experiment.transfer.epochs),
        epochs=range(1, seen.epochs + 1),
        side=seen.spec.size,
        grey=seen.spec.channels == 1,
        fitted=seen.fitted,
        classes=len(classes),
        shown=len({row.label for row in seen.rows}),
        rows=_rows(seen, classes),
        steps=[_step(step) for step in seen.steps],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html, encoding="utf-8")


def _rows(seen: Seen, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Lossless: a tile holds the very values that the network gets."""
    found = []
    grey = seen.spec.channels == 1
    with count_bar("Pictures", len(seen.rows)) as done:
        for position, row in enumerate(seen.rows, 1):
            tiles = [_tile(view, grey) for view in (row.original, *row.draws)]
            about = {"class": classes[row.label], "name": row.name, "index": row.index}
            found.append({**about, "original": tiles[0], "draws": tiles[1:]})
            done(position)
    return found


def _tile(view: np.ndarray, grey: bool) -> str:
    return png(greyed(view) if grey else view)


def _step(step: Step) -> dict[str, Any]:
    arguments = {name: _words(value) for name, value in step.arguments.items()}
    return {
        "name": step.name,
        "arguments": arguments,
        "inner": [_step(each) for each in step.inner],
    }


def _words(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_words, value))}]"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_words(item)}" for key, item in value.items())
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return number(value) if isinstance(value, int | float) else str(value)
