"""From the manifest to a trained classifier: which pictures, which head, which epoch."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graftwork.errors import UserError
from graftwork.model_folder import StoredBackbone

if TYPE_CHECKING:
    import pandas as pd

    from graftwork.artifacts import Artifacts
    from graftwork.classifier import Classifier
    from graftwork.experiment import Experiment
    from graftwork.models.base import InputSpec

Row = dict[str, float]
Head = tuple[np.ndarray, np.ndarray]  # [num_classes, num_features] and [num_classes]


@dataclass(frozen=True)
class Selection:
    """Which pictures are fitted, and how the weights that are kept were chosen."""

    rule: str  # best or last
    fit: tuple[str, ...]  # splits
    words: str


def select(experiment: Experiment, val_labels: np.ndarray, num_classes: int) -> Selection:
    """Whether validation can be trusted to choose an epoch.

    Args:
        val_labels: integers, one a validation picture.

    Raises:
        UserError: `trainer.selection=best` without a validation picture.
    """
    wanted, least = experiment.trainer.selection, experiment.trainer.min_val
    count, absent = len(val_labels), num_classes - len(np.unique(val_labels))
    if wanted == "best" and not count:
        raise UserError(
            "trainer.selection: best, but there are no validation pictures. Legal: last, auto, "
            "or dataset.splits.val_fraction=0.15."
        )
    trusted = count >= least and not absent
    if experiment.transfer.epochs == 0:
        fit = ("train",) if wanted == "best" else ("train", "val")
        words = "nothing was trained after the head was computed; it was fitted on "
        return Selection("last", fit, words + " and ".join(fit))
    if wanted == "best" or (wanted == "auto" and trusted):
        words = f"the epoch with the highest top-1 on {count} validation pictures"
        return Selection("best", ("train",), words)
    if wanted == "last":
        why = "as trainer.selection says"
    elif not count:
        why = "there are no validation pictures"
    elif count < least:
        why = f"{count} validation pictures are too few to choose by (trainer.min_val={least})"
    else:
        why = f"{absent} classes have no validation picture"
    return Selection("last", ("train", "val"), f"the last epoch, fitted on train and val: {why}")


def fit_head(
    experiment: Experiment, artifacts: Artifacts, fit: pd.DataFrame, num_classes: int
) -> tuple[Head | None, Row]:
    """The head that the strategy computes from stored features, and facts about it."""
    head_init = experiment.transfer.head_init
    if not head_init.needs_features:
        return None, {}
    from graftwork.features import features_of

    labels = fit["label"].to_numpy(np.int64)
    features = features_of(experiment, artifacts, fit)
    found = head_init.weights(features, labels, num_classes, experiment.seed)
    assert found is not None, "a head that needs features is computed"
    weight, bias, facts = found
    return (weight, bias), facts


@dataclass(frozen=True)
class Model:
    """What the model folder keeps."""

    weights: Classifier | StoredBackbone  # the latter where no network was built
    input_spec: InputSpec


def finetune(
    experiment: Experiment,
    artifacts: Artifacts,
    fit: pd.DataFrame,
    watched: Mapping[str, pd.DataFrame],
    num_classes: int,
    told: Callable[[Row, int], None],
) -> tuple[Model, list[Row], dict[str, Any]]:
    """Runs the strategy.

    Args:
        fit: rows of the manifest to train on.
        watched: rows to evaluate after each epoch, by split. The best epoch is chosen by `val`;
            without rows of it the last one is kept. `test` chooses nothing.
        told: called with the numbers of each epoch and its number; 0 is before training.

    Returns:
        the model, the curves (one row an epoch) and facts that are the same for the same run.
    """
    head, found = fit_head(experiment, artifacts, fit, num_classes)
    rows = [{"epoch": 0, **found}] if found else []
    facts: dict[str, Any] = {name.partition("/")[2]: value for name, value in found.items()}
    if found:
        told(found, 0)
    if head is not None and not experiment.transfer.epochs:
        return _probed(experiment, artifacts, head), rows, {"epochs": 0, **facts}
    classifier = build_classifier(experiment, artifacts, head, num_classes)
    facts["epochs"] = 0
    if experiment.transfer.epochs:
        from graftwork.training.auxiliary import auxiliary_heads
        from graftwork.training.fitting import train

        with auxiliary_heads(
            classifier, experiment.model.auxiliary_weight, num_classes, experiment.seed
        ):
            trained = train(experiment, artifacts, classifier, fit, watched, num_classes, told)
        rows += trained.rows
        facts["epochs"], facts["kept_epoch"] = len(trained.rows), trained.epoch
        facts["trainable_parameters"] = trained.trainable
        facts |= {"auxiliary_parameters": trained.auxiliary} if trained.auxiliary else {}
        facts["trained_share"] = experiment.transfer.trained_share
    return Model(classifier, classifier.input_spec), rows, facts


def _probed(experiment: Experiment, artifacts: Artifacts, head: Head) -> Model:
    """The stored backbone with a new head: no network is built, torch is not imported."""
    from graftwork.features import frozen_network

    network = frozen_network(experiment, artifacts)
    tensors = {"head.weight": head[0], "head.bias": head[1]}
    stored = StoredBackbone(network.tensors, network.tensors_sha256, tensors)
    return Model(stored, network.input_spec)


def build_classifier(
    experiment: Experiment, artifacts: Artifacts, head: Head | None, num_classes: int
) -> Classifier:
    """The network as it stands before its first step; the same for the same seed."""
    import torch

    from graftwork.engines import backbone

    classifier = backbone.build(experiment, artifacts)
    torch.manual_seed(experiment.seed)
    classifier.head = experiment.model.head.build(classifier.num_features, num_classes)
    if head is not None:
        weight, bias = map(torch.from_numpy, head)
        classifier.head.load_state_dict({"weight": weight, "bias": bias})
    return classifier


CURVES = {f"{split}/{name}" for split in ("train", "val") for name in ("loss", "top1")}


def write_history(rows: Sequence[Row], path: Path) -> None:
    """Training curves as CSV, the epoch first; the columns that dvc.yaml plots are always there."""
    names = sorted({name for row in rows for name in row} - {"epoch"} | CURVES)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["epoch", *names], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
