"""The model card: what whoever is handed a model should know, from what was recorded, and no more.

`card.md` is for repositories and people; `card.html` is the same as a page. What was not measured
stands under "What it was not tested on", or nowhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.config.yaml_text import from_yaml
from graftwork.data import manifest
from graftwork.data.datasets.base import RECEIPT
from graftwork.evaluating import prediction_table
from graftwork.metrics.base import Metric
from graftwork.model_folder import contents as model_folder
from graftwork.process.terminal import visible
from graftwork.reporting.numbers import THIN, number, percent
from graftwork.reporting.pages import render
from graftwork.reporting.per_class import class_scores, confusion_counts
from graftwork.reporting.score_words import lines, told
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import read_receipt

if TYPE_CHECKING:
    import pandas as pd

FEW = 30  # test pictures of a class: at half of them right, recall is known to 18 points (Wilson)
SURE = 0.9  # of the probability that an answer is given
CONFUSIONS = 10  # at most so many are named
MEANT = re.compile(r"[\\`*\[\]<>|~&]|(?<!\w)_|_(?!\w)")  # what Markdown would take for its own


@dataclass(frozen=True)
class Tested:
    """Test pictures and what the model said of them."""

    frame: pd.DataFrame  # rows of the manifest: label, width, height
    probabilities: np.ndarray  # [n, num_classes]

    @property
    def right(self) -> np.ndarray:
        return np.asarray(self.probabilities.argmax(axis=1) == self.frame["label"].to_numpy())


def write(root: Path) -> list[Path]:
    """Writes reports/card.md and reports/card.html of an experiment; returns both.

    Raises:
        UserError: it has no model, or nothing was measured.
    """
    artifacts = Artifacts.at(root)
    text = card(artifacts)
    artifacts.card.parent.mkdir(parents=True, exist_ok=True)
    artifacts.card.write_text(text, encoding="utf-8")
    page = artifacts.card.with_suffix(".html")
    title = visible(json.loads(artifacts.metrics.read_text("utf-8"))["title"])
    page.write_text(render("card.html.jinja", title=title, body=as_html(text)), encoding="utf-8")
    return [artifacts.card, page]


def as_html(text: str) -> Markup:
    """Markdown as HTML; HTML in it stays text."""
    from markdown_it import MarkdownIt

    return Markup(MarkdownIt("commonmark", {"html": False}).enable("table").render(text))


def card(artifacts: Artifacts) -> str:
    """The card as Markdown. See `write`."""
    for path in (artifacts.metrics, artifacts.params, artifacts.model / model_folder.CONTRACT):
        if not path.is_file():
            raise UserError(f"{path}: no such file. Run the experiment first: dvc repro.")
    # In parts: a card can be made when the photos have moved, and of what was run long ago.
    params = from_yaml(artifacts.params.read_text("utf-8"))
    metrics = {
        name: build(one, Metric, f"evaluation.metrics.{name}")  # type: ignore[type-abstract]
        for name, one in params["evaluation"]["metrics"].items()
    }
    contract = model_folder.read_contract(artifacts.model)
    result = json.loads(artifacts.metrics.read_text("utf-8"))
    tested = _tested(artifacts, contract.classes)
    dataset = params["dataset"]["name"]
    better = (result.get("start") or {}).get("difference", {}).get("test", {})
    held_out = (result.get("selection") or {}).get("scores") or {}
    text = render(
        "card.md.jinja",
        result=result,
        contract=contract,
        params=params,
        data=read_receipt(artifacts.data_report, "The card says nothing of it."),
        source=read_receipt(artifacts.raw(dataset) / RECEIPT, ""),
        scores=lines(metrics, [result["test"], held_out]),
        counts=[_count(result["test"]), _count(held_out)],
        gain={name: told(metrics[name], one, signed=True) for name, one in better.items()},
        classes=_by_class(tested, contract.classes, result["confidence"]),
        confusions=list(_confusions(tested, contract.classes)),
        certainty=_certainty(tested),
        untested=list(_untested(tested, contract.classes, dataset)),
        md=escaped,
    )
    return str.__str__(text)  # Markdown, not markup that a page may hold as it is


def escaped(value: object) -> str:
    """A text from data, in a line or cell of Markdown: it says nothing but itself."""
    return MEANT.sub(lambda found: "\\" + found[0], visible(value))


def _count(scores: Mapping[str, Mapping[str, float]]) -> int:
    return int(next(iter(scores.values()))["n"]) if scores else 0


def _tested(artifacts: Artifacts, classes: Sequence[str]) -> Tested | None:
    """None where nobody looked at the test."""
    found = prediction_table.read(artifacts.predictions, classes)
    if found is None:
        return None
    rows, probabilities = found
    sizes = manifest.read(artifacts.manifest)[["sha256", "split", "width", "height"]]
    sizes = sizes[sizes["split"] == "test"].drop_duplicates("sha256")
    return Tested(rows.merge(sizes, on="sha256", how="left"), probabilities)


def _by_class(
    tested: Tested | None, classes: Sequence[str], confidence: float
) -> list[dict[str, Any]]:
    """A line a class, those that are recognised least first."""
    if tested is None:
        return []
    labels, said = tested.frame["label"].to_numpy(), tested.probabilities.argmax(axis=1)
    found = class_scores(list(classes), labels, said, confidence)
    found.sort(key=lambda one: (one.recall is None, one.recall))
    return [vars(one) for one in found]


def _confusions(tested: Tested | None, classes: Sequence[str]) -> Iterator[str]:
    """The most frequent ones, in words."""
    if tested is None:
        return
    labels, said = tested.frame["label"].to_numpy(), tested.probabilities.argmax(axis=1)
    counts = confusion_counts(labels, said, len(classes))
    of_class = counts.sum(axis=1)
    np.fill_diagonal(counts, 0)
    for place in np.argsort(-counts, axis=None, kind="stable")[:CONFUSIONS]:
        actual, taken = divmod(int(place), len(classes))
        if count := int(counts[actual, taken]):
            names = escaped(classes[actual]), escaped(classes[taken])
            yield f"{names[0]} is taken for {names[1]}: {count} of {of_class[actual]} pictures"


def _certainty(tested: Tested | None) -> str:
    """What becomes of answers that are given with much probability."""
    if tested is None:
        return ""
    sure = tested.probabilities.max(axis=1) >= SURE
    if not sure.any():
        return f"No answer is given with a probability of {percent(SURE, 0)} or more."
    right = tested.right[sure].mean()
    return (
        f"{percent(sure.mean())} of all answers are given with a probability of {percent(SURE, 0)} "
        f"or more; {percent(right)} of these are right."
    )


def _untested(tested: Tested | None, classes: Sequence[str], data: str) -> Iterator[str]:
    """What nobody should conclude from the numbers."""
    yield (
        f"Pictures of anything but its {len(classes)} classes: whatever it is shown, it names one "
        "of them."
    )
    if tested is None:
        yield "Any picture but those that were held out to choose by: the test was not looked at."
        return
    count = np.bincount(tested.frame["label"], minlength=len(classes))
    few = [f"{escaped(name)} ({n})" for name, n in zip(classes, count, strict=True) if n < FEW]
    if few:
        yield f"Many pictures of some classes: fewer than {FEW} tell little of {', '.join(few)}."
    yield f"Pictures from elsewhere than {escaped(data)}: other cameras, places, seasons."
    yield "Damaged, blurred, noisy or strongly compressed pictures: none were made to test with."
    width, height = tested.frame["width"].dropna(), tested.frame["height"].dropna()
    if len(width):
        yield (
            f"Pictures of other sizes than {number(width.min())} to {number(width.max())} px wide "
            f"and {number(height.min())} to {number(height.max())}{THIN}px high."
        )
