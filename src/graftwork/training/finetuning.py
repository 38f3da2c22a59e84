"""From the manifest to a trained classifier: which pictures, which head, which epoch."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graftwork.errors import UserError

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import nn

    from graftwork.artifacts import Artifacts
    from graftwork.classifier import Classifier
    from graftwork.experiment import Experiment
    from graftwork.models.base import InputSpec
    from graftwork.trainer import Trainer
    from graftwork.training.datamodule import PictureData
    from graftwork.training.graft_module import GraftModule
    from graftwork.transfer.strategy import Transfer

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

    weights: Classifier | dict[str, np.ndarray]  # tensors by name where no network was built
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
    tensors = {**network.tensors(), "head.weight": head[0], "head.bias": head[1]}
    return Model(tensors, network.input_spec)


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


@dataclass(frozen=True)
class Trained:
    """What training gave."""

    rows: list[Row]  # the curves, one row an epoch
    epoch: int  # whose weights were kept, from 1
    trainable: int  # parameters, of what is kept
    auxiliary: int  # further ones, of auxiliary classifiers


def train(
    experiment: Experiment,
    artifacts: Artifacts,
    classifier: Classifier,
    fit: pd.DataFrame,
    watched: Mapping[str, pd.DataFrame],
    num_classes: int,
    told: Callable[[Row, int], None],
) -> Trained:
    """Trains the classifier in place and leaves it on the CPU in eval mode.

    Args:
        watched: as of `finetune`.
        told: called with each epoch's numbers and its number, from 1.

    Raises:
        UserError: the loss is no number any more; a name of a layer group is wrong.
    """
    from graftwork import distributed
    from graftwork.trainer import share_cores
    from graftwork.training.graft_module import GraftModule, check_finite
    from graftwork.training.watching import BestWeights, Curves, EndedBySigterm, Progress

    share_cores(distributed.world_size())
    start = first_weights(classifier, experiment.transfer)
    pictures = _pictures(experiment, artifacts, classifier, fit, watched)
    module = GraftModule(classifier, experiment.transfer, num_classes, pictures.watched)
    chooses = "val" in pictures.watched
    curves, best = Curves(told), BestWeights(experiment.trainer.patience)
    watchers = [EndedBySigterm(), Progress(), curves, *([best] if chooses else [])]
    counts = trained_parameters(classifier)
    fit_module(module, experiment.trainer, watchers, artifacts.root, pictures)
    check_finite(classifier)  # the very last step has no loss after it that could tell
    classifier.cpu().eval()
    interpolate(classifier, start, experiment.transfer.trained_share)
    epoch = best.epoch + 1 if chooses else len(curves.rows)
    return Trained(curves.rows, epoch, *counts)


def trained_parameters(classifier: Classifier) -> tuple[int, int]:
    """How many parameters are trained: of the network, and of its auxiliary classifiers."""

    def count(module: nn.Module | None) -> int:
        return sum(p.numel() for p in module.parameters() if p.requires_grad) if module else 0

    auxiliary = count(classifier.auxiliary)
    return count(classifier) - auxiliary, auxiliary


def first_weights(classifier: Classifier, transfer: Transfer) -> dict[str, torch.Tensor]:
    """A copy of the state dict, where the strategy goes back towards it in the end."""
    if transfer.trained_share == 1:
        return {}
    return {name: tensor.clone() for name, tensor in classifier.state_dict().items()}


def fit_module(
    module: GraftModule, trainer: Trainer, watchers: Sequence[Any], root: Path, data: Any
) -> None:
    """Runs Lightning as every training here does.

    Args:
        watchers: callbacks.
        root: folder of the experiment.
        data: a LightningDataModule, or an iterable of batches.
    """
    from graftwork.trainer import quiet
    from graftwork.training.fast_forward import fast_forward

    with quiet():
        lightning = trainer.lightning(module.transfer.epochs, watchers, root)
        bf16_on_cpu = not trainer.uses_gpu() and lightning.precision == "bf16-mixed"
        frozen = module.transfer.batch_norm == "frozen"
        with fast_forward(module.classifier, fold=frozen, depthwise_fp32=bf16_on_cpu):
            lightning.fit(module, data)


def interpolate(classifier: Classifier, start: dict[str, torch.Tensor], share: float) -> None:
    """Moves the weights back towards where training began.

    What fine-tuning from a converged head changes lies on a path along which accuracy hardly
    falls; before its end the source task is less forgotten (Wortsman et al. 2022, WiSE-FT).

    Args:
        start: the state dict before training; empty where it is not needed.
        share: of the way from there; 1 leaves the trained weights as they are.
    """
    for name, tensor in classifier.state_dict().items():
        if share < 1 and tensor.is_floating_point():
            tensor.copy_(start[name].lerp(tensor, share))


def _pictures(
    experiment: Experiment,
    artifacts: Artifacts,
    classifier: Classifier,
    fit: pd.DataFrame,
    watched: Mapping[str, pd.DataFrame],
) -> PictureData:
    from graftwork import distributed
    from graftwork.images import DecodedImages, eval_view
    from graftwork.training.datamodule import PictureData

    spec = classifier.input_spec
    experiment.dataset.warn_if_enlarged(spec)
    return PictureData(
        fit,
        watched,
        DecodedImages(artifacts, experiment.dataset),
        augment=experiment.augmentation.build(spec, experiment.seed),
        view=lambda image: eval_view(image, spec),
        batch_size=experiment.trainer.batch_size,
        workers=experiment.trainer.workers,
        seed=experiment.seed,
        rank=distributed.rank(),
        processes=distributed.world_size(),
    )


CURVES = {f"{split}/{name}" for split in ("train", "val") for name in ("loss", "top1")}


def write_history(rows: Sequence[Row], path: Path) -> None:
    """Training curves as CSV, the epoch first; the columns that dvc.yaml plots are always there."""
    names = sorted({name for row in rows for name in row} - {"epoch"} | CURVES)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["epoch", *names], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
