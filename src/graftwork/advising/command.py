"""`graftwork learning-curve`: what more labels would bring, and what another strategy brings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console

from graftwork.advising.learning_curve import DRAWS, SHARES, Point, learning_curve
from graftwork.advising.page import page
from graftwork.advising.power_law import Expected, Gain, fitted
from graftwork.config.errors import UserError
from graftwork.data import manifest
from graftwork.data.datasets.base import UNLABELLED
from graftwork.data.folds import NEVER
from graftwork.experiment import Experiment
from graftwork.features.feature_store import features_of
from graftwork.metrics.paired import Estimate, mean_over
from graftwork.process.progress import count_bar
from graftwork.process.terminal import literal
from graftwork.reporting.numbers import number, percent
from graftwork.selecting.held_out import held_out
from graftwork.selecting.stored_match import stored
from graftwork.storage import csv_tables
from graftwork.storage.artifacts import Artifacts
from graftwork.transfer.parts import Examples

if TYPE_CHECKING:
    import pandas as pd

    from graftwork.transfer.parts import FittedHead

CONFIDENCE = 0.95
MORE = 2.0  # times the labels: as far as the law is asked


@dataclass(frozen=True)
class Other:
    """Another run on the same held-out pictures, against the head on all labels."""

    name: str
    gain: Estimate
    pictures: int


@dataclass(frozen=True)
class Curve:
    """Everything that is told and drawn."""

    title: str
    points: list[Point]
    expected: Expected
    more: Gain  # of `MORE` times the labels
    others: list[Other]

    def sentences(self) -> list[str]:
        """The numbers in words."""
        last = self.points[-1]
        more, count = self.more, len(last.right)
        said = [
            f"Today: {percent(float(last.right.mean()))} of {number(count)} held-out pictures are "
            f"recognised by heads that learnt from {number(round(last.labels))} labels.",
            f"Twice the labels: {_points(more.value, more.low, more.high)} are expected.",
        ]
        said += [
            f"{other.name} instead: "
            f"{_points(other.gain.value, other.gain.low, other.gain.high)}, measured on "
            f"{number(other.pictures)} of these pictures."
            for other in self.others
        ]
        if self.others:
            best = max(self.others, key=lambda other: other.gain.value)
            clear = best.gain.low > more.high or more.low > best.gain.high
            first = best.name if best.gain.value > more.value else "more labels"
            said.append(
                f"So {first} first." if clear else "Which of the two brings more cannot be told."
            )
        return said


def _points(value: float, low: float, high: float) -> str:
    return f"{100 * value:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f})"


def run(root: Path, against: Sequence[Path], html: Path, more: int, table: Path) -> None:
    """Prints what more labels would bring, and writes the page.

    Args:
        root: folder of an experiment whose data is prepared.
        against: of finished runs on the same data.
        more: pictures without labels that are proposed for labelling; 0: none.
        table: where these are written.

    Raises:
        UserError: the strategy computes no head from features, nothing is held out, or there are
            no pictures without labels to propose.
    """
    console, artifacts = Console(), Artifacts.at(root, _shared(root))
    experiment = Experiment.from_file(artifacts.params)
    _check(experiment)
    frame = manifest.read(artifacts.manifest)
    if more and manifest.of_split(frame, UNLABELLED).empty:
        raise UserError("--next: there are no photos without labels: dataset.unlabelled=FOLDER.")
    curve, head = looked(experiment, artifacts, frame, against)
    for sentence in curve.sentences():
        console.print(literal(sentence))
    html.parent.mkdir(parents=True, exist_ok=True)
    html.write_text(page(curve.title, curve.points, curve.expected, curve.sentences()), "utf-8")
    console.print(literal(f"written: {html}"), soft_wrap=True)
    if more:
        paths = proposed(experiment, artifacts, frame, head, more)
        csv_tables.write(table, ("image",), ({"image": path} for path in paths))
        console.print(literal(f"written: {table}: {len(paths)} photos to label next"))


def _shared(root: Path) -> Path:
    """The project whose store the experiment uses: the folder we are in, or its own."""
    here = Path.cwd()
    return here if (here / "store").is_dir() else root


def _check(experiment: Experiment) -> None:
    if not experiment.transfer.head_init.needs_features:
        raise UserError(
            f"transfer: {experiment.transfer.name} computes no head from features, so that each "
            "point would be a training of its own. Take a run of transfer=linear_probe."
        )
    if experiment.selection.method == "none":
        raise UserError("selection: nothing is held out, so nothing is measured (selection=none).")


def looked(
    experiment: Experiment, artifacts: Artifacts, frame: pd.DataFrame, against: Sequence[Path]
) -> tuple[Curve, FittedHead]:
    """The curve, and the head on all labels."""
    classes = len(manifest.read_classes(artifacts.classes))
    features = lambda rows: features_of(experiment, artifacts, rows)  # noqa: E731
    chosen = held_out(experiment, frame, classes, features, stored(artifacts.folds))
    head, seed = experiment.transfer.head_init, experiment.seed
    examples = Examples(features(chosen.rows), chosen.labels, classes, chosen.head_fold, seed)
    with count_bar("Parts of the labels", DRAWS * (len(SHARES) - 1) + 1) as told:
        points = learning_curve(head, examples, told)
    expected, more = fitted(points, MORE * points[-1].labels, seed)
    judged = chosen.rows[chosen.head_fold != NEVER]
    others = [_other(path, judged, points[-1].right) for path in against]
    title = f"{experiment.dataset.name} · {experiment.model.name} · {experiment.transfer.name}"
    return Curve(title, points, expected, more, others), head.fit(examples)


def _other(folder: Path, judged: pd.DataFrame, right: np.ndarray) -> Other:
    import pandas as pd

    path = Artifacts.at(folder).held_out
    if not path.is_file():
        raise UserError(f"--against: {folder}: no held-out answers. Name a finished run.")
    answers = pd.read_parquet(path, columns=["sha256", "class", "predicted"])
    both = judged[["sha256"]].assign(right=right).merge(answers, on="sha256")
    if len(both) < 2:
        raise UserError(f"--against: {folder}: none of its held-out pictures is one of these.")
    theirs = (both["class"] == both["predicted"]).to_numpy(np.float64)
    gain = mean_over((theirs - both["right"].to_numpy(np.float64))[None], CONFIDENCE)
    return Other(str(folder), gain, len(both))


def proposed(
    experiment: Experiment,
    artifacts: Artifacts,
    frame: pd.DataFrame,
    head: FittedHead,
    count: int,
) -> list[str]:
    """Paths of photos without labels, the first to be labelled first."""
    from graftwork.advising.next_labels import chosen
    from graftwork.metrics.softmax import softmax

    rows = manifest.of_split(frame, UNLABELLED)
    features = features_of(experiment, artifacts, rows)
    picked = chosen(features, softmax(head.logits(features)), count, experiment.seed)
    return [str(path) for path in rows["path"].iloc[picked]]
