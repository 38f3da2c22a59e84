"""From the manifest to a trained classifier: which head, which network, and what chose it."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graftwork.evaluating.folds import NEVER, learnable, stratified
from graftwork.evaluating.record import (
    Clustering,
    Distances,
    Optimism,
    SelectionRecord,
)
from graftwork.evaluating.start import Start
from graftwork.model_folder import StoredBackbone

if TYPE_CHECKING:
    import pandas as pd

    from graftwork.artifacts import Artifacts
    from graftwork.classifier import Classifier
    from graftwork.evaluating.held_out import HeldOut
    from graftwork.experiment import Experiment
    from graftwork.models.base import InputSpec
    from graftwork.transfer.parts import FittedHead

Row = dict[str, float]
Told = Callable[[Row, int], None]  # numbers of an epoch and its number; 0 is before training


@dataclass(frozen=True)
class Model:
    """What the model folder keeps."""

    weights: Classifier | StoredBackbone  # the latter where no network was built
    input_spec: InputSpec


@dataclass(frozen=True)
class Finetuned:
    """A model, and how it came about."""

    model: Model
    rows: list[Row]  # the curves, one row an epoch
    facts: dict[str, Any]  # the same for the same run: they go into the model's contract
    record: SelectionRecord
    # Rows of the manifest and probabilities `[n, num_classes]` by models that had not seen them;
    # None where nothing was held out.
    held_out: tuple[pd.DataFrame, np.ndarray] | None
    start: Start | None  # the probe that training began from, where the model is another


def finetune(
    experiment: Experiment,
    artifacts: Artifacts,
    held_out: HeldOut,
    test: pd.DataFrame | None,
    num_classes: int,
    told: Told,
) -> Finetuned:
    """Runs the strategy.

    Args:
        held_out: the pictures that may be fitted, and which of them choose.
        test: rows to evaluate after each epoch for a curve that chooses nothing; None: no curve.
        told: called with the numbers of each epoch.
    """
    features, head, rows = None, None, list[Row]()
    if experiment.transfer.head_init.needs_features:
        from graftwork.features import features_of

        features = features_of(experiment, artifacts, held_out.rows)
        head = experiment.transfer.head_init.fit(
            features, held_out.labels, num_classes, held_out.head_fold
        )
        rows.append({"epoch": 0, **head.facts})
        told(head.facts, 0)
    source = Source(experiment, artifacts, held_out, features, head, num_classes)
    if head is not None and not experiment.transfer.epochs:
        return _probe_alone(source, head, rows)
    from graftwork.training.networks import choose_network

    return choose_network(source, test, told, rows)


@dataclass(frozen=True)
class Source:
    """What a strategy starts from."""

    experiment: Experiment
    artifacts: Artifacts
    held_out: HeldOut
    features: np.ndarray | None  # float32 [n, num_features] of held_out.rows, where heads need them
    head: FittedHead | None  # fitted on all of them; None: the strategy computes none
    num_classes: int

    def head_without(self, out: np.ndarray) -> FittedHead | None:
        """The head that had not seen the pictures of `out` (booleans `[n]`), constants included."""
        if self.features is None:
            return None
        labels = self.held_out.labels[~out]
        fold = learnable(self.held_out.head_fold[~out], labels)
        head_init = self.experiment.transfer.head_init
        return head_init.fit(self.features[~out], labels, self.num_classes, fold)


def _probe_alone(source: Source, head: FittedHead, rows: list[Row]) -> Finetuned:
    held_out = source.held_out
    facts = {"epochs": 0, "trained_share": 0.0, **probe_facts(head)}
    words = "the head's penalty: the strongest within a standard error of the lowest log loss"
    record = record_of(source, held_out.head_fold, words)
    chosen = out_of_fold(held_out, head)
    return Finetuned(probed(source, head), rows, facts, record, chosen, None)


def out_of_fold(held_out: HeldOut, head: FittedHead) -> tuple[pd.DataFrame, np.ndarray] | None:
    """The held-out pictures of heads, and what the head's like said that had not seen them."""
    out = held_out.head_fold != NEVER
    if not out.any():
        return None
    return held_out.rows[out].reset_index(drop=True), head.held_out[out]


def probe_facts(head: FittedHead) -> dict[str, float]:
    """Facts of the head without the prefix that curves give them."""
    return {name.partition("/")[2]: value for name, value in head.facts.items()}


def probed(source: Source, head: FittedHead) -> Model:
    """The stored backbone with a new head: no network is built, torch is not imported."""
    from graftwork.features import frozen_network

    network = frozen_network(source.experiment, source.artifacts)
    tensors = {"head.weight": head.weight, "head.bias": head.bias}
    stored = StoredBackbone(network.tensors, network.tensors_sha256, tensors)
    return Model(stored, network.input_spec)


def record_of(source: Source, fold: np.ndarray, chose: str, **parts: Any) -> SelectionRecord:
    """The record of how what is kept was chosen.

    Args:
        fold: of the pictures that chose.
        chose: what they chose, and by which rule.
        parts: further fields of the record.
    """
    held_out = source.held_out
    count, matched = int((fold != NEVER).sum()), held_out.matched
    folds = len(set(fold.tolist()) - {NEVER})
    distances = clusters = None
    if matched is not None:
        from graftwork.evaluating.matched import PERCENTILES, at_percentiles

        curves = map(at_percentiles, (matched.new, matched.held_out, matched.random))
        distances = Distances(PERCENTILES.astype(float).tolist(), *curves)
        clusters = [
            Clustering(number, round(apart, 6), number == matched.clusters)
            for number, apart in matched.tried
            if math.isfinite(apart)  # of so few clusters none could be held out
        ]
    what = f"{count} photos were held out ({held_out.what}) and chose {chose}"
    missing = "nothing was held out, and nothing chosen: no score of this run may choose anything"
    values: dict[str, Any] = {
        "method": held_out.method if count else "none",
        "why": held_out.why,
        "words": what if count else missing,
        "held_out": count,
        "fitted": len(held_out.rows),
        "folds": folds,
        "distances": distances,
        "clusters": clusters,
        "optimism": _optimism(source),
        "shares": None,
        "gone_back": [],
        "ended_as_start": False,
    }
    return SelectionRecord(**values | parts)


def _optimism(source: Source) -> Optimism | None:
    """What random folds would have said of the same probe."""
    head, held_out = source.head, source.held_out
    if head is None or source.features is None or held_out.method not in ("matched", "grouped"):
        return None
    labels, seed = held_out.labels, source.experiment.dataset.splits.seed
    random = learnable(stratified(labels, source.experiment.selection.head_folds, seed), labels)
    easy = head.fixed.cross_validated(source.features, labels, source.num_classes, random)
    return Optimism(_top1(easy, labels), _top1(head.held_out, labels))


def _top1(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Of the rows that were held out; the others are NaN."""
    seen = ~np.isnan(probabilities[:, 0])
    return float((probabilities.argmax(1) == labels)[seen].mean()) if seen.any() else 0.0


CURVES = {f"{split}/{name}" for split in ("train", "val") for name in ("loss", "top1")}


def write_history(rows: Sequence[Row], path: Path) -> None:
    """Training curves as CSV, the epoch first; the columns that dvc.yaml plots are always there."""
    names = sorted({name for row in rows for name in row} - {"epoch"} | CURVES)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["epoch", *names], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
