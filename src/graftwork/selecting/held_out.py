"""Which pictures of train and val are held out to choose by, and why those."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graftwork.config.errors import UserError
from graftwork.data import manifest
from graftwork.data.folds import NEVER, dealt, learnable, stratified
from graftwork.selecting.groups import groups_of
from graftwork.selecting.matched import Match, Matched, match, nearest_distances

if TYPE_CHECKING:
    import pandas as pd

    from graftwork.experiment import Experiment

FeaturesOf = Callable[["pd.DataFrame"], np.ndarray]  # rows of the manifest: float32 [n, d]
# Validation is not trusted where its pictures lie nearer to training than this share of what new
# ones do: it then holds siblings of training pictures.
AS_FAR = 0.8
WAYS = 20  # to deal the same groups that are looked through for one typical hold-out
LOOSE = 0.5  # of a group's size: otherwise all ways are nearly the same
MANY_DEALT = 40_000  # groups dealt in all ways together: about a second
UNLABELLED = "unlabelled"  # split of pictures without a label


@dataclass(frozen=True)
class HeldOut:
    """The pictures that may be fitted, and in which fold each of them is held out.

    Attributes:
        method: validation, matched, grouped, random or none.
        why: that one, in a sentence.
        what: is held out, in words.
        rows: of the manifest, train and val.
        head_fold: `[n]`, of heads on stored features; see graftwork.data.folds.
        network_folds: ways to deal them for networks, `[n]` each: of the first, each part is held
            out in turn, or of all of them the most typical part.
        matched: how like new pictures the held-out ones are.
        new: pictures of where the model will be used, rows of the manifest without a label; where
            held-out ones were matched to them.
        features: float32 `[n, num_features]` of the frozen backbone, for a head that is fitted to
            them; None where the method did not look at them, or nothing else will.
    """

    method: str
    why: str
    what: str
    rows: pd.DataFrame
    head_fold: np.ndarray
    network_folds: Sequence[np.ndarray]
    matched: Matched | None = None
    new: pd.DataFrame | None = None
    features: np.ndarray | None = None

    @property
    def labels(self) -> np.ndarray:
        return self.rows["label"].to_numpy(np.int64)


def method_of(experiment: Experiment, frame: pd.DataFrame, num_classes: int) -> tuple[str, str]:
    """The method that the configuration and the numbers of pictures speak for, and why.

    Args:
        frame: the manifest.

    Raises:
        UserError: validation is wanted, and there is none.
    """
    selection = experiment.selection
    val = manifest.of_split(frame, "val")["label"].to_numpy()
    if selection.method == "validation" and not len(val):
        raise UserError(
            "selection: validation, but there are no validation pictures. Legal: auto, matched, "
            "grouped, random, none, or dataset.splits.val_fraction=0.15."
        )
    if selection.method != "auto":
        return selection.method, f"selection={selection.method} says so"
    absent = num_classes - len(np.unique(val))
    if len(val) >= selection.min_val and not absent:
        return "validation", f"it has {len(val)} pictures, and some of every class"
    if not len(val):
        why = "there are no validation pictures"
    elif len(val) < selection.min_val:
        least = f"selection.min_val={selection.min_val}"
        why = f"{len(val)} validation pictures are too few to choose by ({least})"
    else:
        why = f"{absent} classes have no validation picture"
    if experiment.transfer.start.is_learnt:
        return "matched", why
    grouped = _fitted(frame)["group"].ne("").any()
    less = f"{why}, and random weights give no distances to match"
    return ("grouped" if grouped else "random"), less


def needs_features(experiment: Experiment, frame: pd.DataFrame, num_classes: int) -> bool:
    """Whether choosing looks at features of a frozen backbone."""
    method, _ = method_of(experiment, frame, num_classes)
    if method == "matched":
        return True
    if method not in ("grouped", "random"):
        return False
    grouping = method == "grouped" and experiment.selection.group_by in ("auto", "duplicates")
    return grouping or chooses_typical(experiment)


def chooses_typical(experiment: Experiment) -> bool:
    """Whether networks hold out one part, and its features tell which is the most typical one."""
    one_part = bool(experiment.transfer.epochs) and experiment.selection.folds == 1
    return one_part and experiment.transfer.start.is_learnt


def held_out(
    experiment: Experiment,
    frame: pd.DataFrame,
    num_classes: int,
    features_of: FeaturesOf,
    matching: Match = match,
) -> HeldOut:
    """Decides what is held out.

    Args:
        frame: the manifest.
        features_of: of the frozen backbone; asked only where the method looks at them.
        matching: finds distance-matched folds.

    Raises:
        UserError: the data lacks what the method needs.
    """
    method, why = method_of(experiment, frame, num_classes)
    if method == "validation" and experiment.selection.method == "auto":
        method, why = _checked_validation(experiment, frame, features_of, why)
    rows = _fitted(frame)
    if method == "none":
        nobody = np.full(len(rows), NEVER)
        return HeldOut(method, why, "nothing", rows, nobody, [nobody])
    if method == "validation":
        fold = learnable(np.where(rows["split"] == "val", 0, NEVER), rows["label"].to_numpy())
        return HeldOut(method, why, "the validation split", rows, fold, [fold])
    return _dealt(experiment, frame, method, why, features_of, matching)


def _dealt(
    experiment: Experiment,
    frame: pd.DataFrame,
    method: str,
    why: str,
    features_of: FeaturesOf,
    matching: Match,
) -> HeldOut:
    rows = _fitted(frame)
    labels = rows["label"].to_numpy(np.int64)
    selection, seed = experiment.selection, experiment.dataset.splits.seed
    parts, matched, new, features = selection.head_folds, None, None, None
    if method == "matched":
        new, source = _new(frame)
        features = features_of(rows)
        matched = matching(features, labels, features_of(new), parts, seed, selection.max_pictures)
        what = f"whole clusters, as far from the rest as {source} are from all"
        groups: np.ndarray | None = matched.groups
    elif method == "grouped":
        groups, sentence = groups_of(rows, lambda: features_of(rows), selection)
        what = sentence[0].lower() + sentence[1:].rstrip(".")
    else:
        groups, what = None, "single pictures, as many of each class"
    head = _folds(groups, labels, parts, seed) if matched is None else matched.fold
    networks = _ways(groups, labels, experiment) if experiment.transfer.epochs else [head]
    kept = features if experiment.transfer.head_init.needs_features else None
    return HeldOut(method, why, what, rows, head, networks, matched, new, kept)


def _ways(
    groups: np.ndarray | None, labels: np.ndarray, experiment: Experiment
) -> list[np.ndarray]:
    """Ways to deal for networks: one where all parts are used, several to choose one part from."""
    selection, seed = experiment.selection, experiment.dataset.splits.seed
    if selection.folds > 1:
        return [_folds(groups, labels, selection.folds, seed)]
    parts = max(2, round(1 / selection.held_out))
    units = len(labels) if groups is None else len(np.unique(groups))
    ways = max(1, min(WAYS, MANY_DEALT // units))
    return [_folds(groups, labels, parts, seed + number, LOOSE) for number in range(ways)]


def _folds(
    groups: np.ndarray | None, labels: np.ndarray, parts: int, seed: int, loose: float = 0.0
) -> np.ndarray:
    """Whole groups, or single pictures where there are none."""
    if groups is None:
        return learnable(stratified(labels, parts, seed), labels)
    return learnable(dealt(groups, labels, parts, seed, loose), labels)


def _fitted(frame: pd.DataFrame) -> pd.DataFrame:
    """Train and val, in the manifest's order."""
    wanted = frame["split"].isin(("train", "val")) & (frame["verdict"] == manifest.OK)
    return frame[wanted].reset_index(drop=True)


def _new(frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Pictures of where the model will be used. Nobody looks at their labels."""
    for split, source in ((UNLABELLED, "unlabelled photos"), ("test", "the test photos")):
        rows = frame[(frame["split"] == split) & (frame["verdict"] == manifest.OK)]
        if len(rows):
            return rows.drop(columns=["label", "class"]).reset_index(drop=True), source
    raise UserError(
        "selection: matched, but there is no new picture to match. Name a folder of photos: "
        "dataset.unlabelled=FOLDER, or choose selection=random."
    )


def _checked_validation(
    experiment: Experiment, frame: pd.DataFrame, features_of: FeaturesOf, why: str
) -> tuple[str, str]:
    """Validation, unless its pictures are siblings of training's and new pictures are not.

    Only where features are there anyway: nobody should pay a pass over all pictures for it.
    """
    if not experiment.transfer.head_init.needs_features:
        return "validation", why
    most, seed = experiment.selection.max_pictures, experiment.dataset.splits.seed
    train, val = (
        manifest.of_split(frame, split).drop(columns="label") for split in ("train", "val")
    )
    new, source = _new(frame)
    some = [rows.sample(min(len(rows), most), random_state=seed) for rows in (train, val, new)]
    base, nearby, others = map(features_of, some)
    ours, theirs = (float(nearest_distances(rows, base).mean()) for rows in (nearby, others))
    if ours >= AS_FAR * theirs:
        return "validation", why
    return "matched", (
        f"validation photos lie nearer to training ({ours:.3f}) than {source} do ({theirs:.3f}): "
        "they would flatter"
    )
