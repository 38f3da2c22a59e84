"""`graftwork labels`: training labels that look wrong, as a gallery and as a table to correct."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from graftwork.config.errors import UserError
from graftwork.data import manifest
from graftwork.data.images import UnreadableImage, decode
from graftwork.evaluating import prediction_table
from graftwork.metrics.confident import doubted
from graftwork.process.terminal import literal
from graftwork.reporting.numbers import number, percent
from graftwork.reporting.pages import render
from graftwork.reporting.report import thumbnail
from graftwork.storage import csv_tables
from graftwork.storage.artifacts import Artifacts

if TYPE_CHECKING:
    import pandas as pd

MAX_PIXELS = 10**8  # of a photo that is drawn small
SIDE = 200  # px of a photo on the page
COLUMNS = ("image", "label", "split", "suggested", "label_probability", "suggested_probability")


@dataclass(frozen=True)
class Suspect:
    """A picture whose label the model doubts."""

    path: str
    label: str
    suggested: str
    own: float  # probability of the label
    other: float  # of what is suggested


@dataclass(frozen=True)
class Looked:
    """What was found."""

    suspects: list[Suspect]  # the most doubtful first
    judged: int  # pictures that a model judged which had not seen them
    fitted: int  # train and val pictures in all

    def sentences(self) -> list[str]:
        found = [
            f"{number(len(self.suspects))} of {number(self.judged)} labels are doubted: another "
            "class is at least as probable as it usually is among pictures of its own."
        ]
        if self.judged < self.fitted:
            found.append(
                f"{number(self.fitted - self.judged)} pictures were not judged: the network was "
                "fitted on them. transfer=linear_probe judges all, by cross-validation."
            )
        found.append("A doubt is no proof: look at the photos before you change a label.")
        return found


def look(root: Path) -> Looked:
    """The labels of an experiment's train and val pictures that held-out answers doubt.

    Raises:
        UserError: there are no held-out answers.
    """
    artifacts = Artifacts.at(root)
    classes = manifest.read_classes(artifacts.classes)
    found = prediction_table.read(artifacts.held_out, classes)
    if found is None:
        raise UserError(
            f"{artifacts.held_out}: no such file: nothing was held out (selection=none), or the "
            "experiment did not end. Run one: transfer=linear_probe judges every label in seconds."
        )
    frame, probabilities = found
    labels = frame["label"].to_numpy()
    rows, says = doubted(probabilities, labels)
    suspects = [
        Suspect(
            str(frame["path"].iloc[row]), classes[labels[row]], classes[other],
            float(probabilities[row, labels[row]]), float(probabilities[row, other]),
        )
        for row, other in zip(rows, says, strict=True)
    ]  # fmt: skip
    splits = manifest.usable(manifest.read(artifacts.manifest))["split"]
    return Looked(suspects, len(frame), int(splits.isin(("train", "val")).sum()))


def run(root: Path, html: Path, table: Path | None, count: int) -> None:
    """Prints what is doubted, writes the gallery, and the table where one is asked for.

    Args:
        count: photos in the gallery at most.
    """
    console, found = Console(), look(root)
    for one in found.suspects[:10]:
        words = f"{one.label} {percent(one.own)}, rather {one.suggested} {percent(one.other)}"
        console.print(literal(f"{words}: {one.path}"), soft_wrap=True)
    for sentence in found.sentences():
        console.print(literal(sentence))
    html.parent.mkdir(parents=True, exist_ok=True)
    html.write_text(page(found, count), encoding="utf-8")
    console.print(literal(f"written: {html}"), soft_wrap=True)
    if table is not None:
        _check_names(Artifacts.at(root))
        frame = manifest.usable(manifest.read(Artifacts.at(root).manifest))
        csv_tables.write(table, COLUMNS, _rows(frame, found.suspects))
        console.print(literal(f"written: {table}; correct its label column, then run with"))
        command = f"dataset=csv dataset.path={table} dataset.split_column=split"
        console.print(literal(command, "bold"), soft_wrap=True)


def _check_names(artifacts: Artifacts) -> None:
    """Raises UserError where a class would be read back under another name."""
    for name in manifest.read_classes(artifacts.classes):
        if csv_tables.harmless(name) != name:
            raise UserError(
                f"--write: the class '{name}' begins like a spreadsheet's formula. Rename it first."
            )


def page(found: Looked, count: int) -> str:
    """One HTML file that needs nothing but itself."""
    photos = [{**vars(one), "picture": _picture(one.path)} for one in found.suspects[:count]]
    return render(
        "labels.html.jinja",
        title=f"{len(found.suspects)} doubtful labels",
        sentences=found.sentences(),
        photos=photos,
        left=len(found.suspects) - len(photos),
        name=lambda path: Path(path).name,
    )


def _picture(path: str) -> str:
    with suppress(OSError, UnreadableImage):  # told by name, wherever the photo went
        return thumbnail(decode(Path(path), MAX_PIXELS, SIDE), SIDE)
    return ""


def _rows(frame: pd.DataFrame, suspects: Sequence[Suspect]) -> Iterator[Mapping[str, Any]]:
    """Every picture of train, val and test with its label; those that are doubted come first."""
    place = {one.path: order for order, one in enumerate(suspects)}
    columns = (frame[name].astype(str) for name in ("path", "class", "split"))
    rows = sorted(zip(*columns, strict=True), key=lambda row: place.get(row[0], len(place)))
    for path, label, split in rows:
        known = {"image": path, "label": label, "split": split}
        if path in place:
            one = suspects[place[path]]
            known |= {"suggested": one.suggested, "label_probability": f"{one.own:.3f}"}
            known["suggested_probability"] = f"{one.other:.3f}"
        yield known
