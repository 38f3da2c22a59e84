"""Fitting: a classifier trained in place by Lightning, as every training here is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from graftwork import distributed
from graftwork.images import DecodedImages, eval_view
from graftwork.trainer import Trainer, quiet, share_cores
from graftwork.training.datamodule import PictureData
from graftwork.training.fast_forward import fast_forward, foldable
from graftwork.training.graft_module import GraftModule, check_finite
from graftwork.training.kept_memory import kept_memory
from graftwork.training.watching import BestWeights, Curves, EndedBySigterm, Progress

if TYPE_CHECKING:
    import pandas as pd

    from graftwork.artifacts import Artifacts
    from graftwork.classifier import Classifier
    from graftwork.experiment import Experiment
    from graftwork.training.finetuning import Row
    from graftwork.transfer.strategy import Transfer


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
    with quiet():
        lightning = trainer.lightning(module.transfer.epochs, watchers, root)
        bf16_on_cpu = not trainer.uses_gpu() and lightning.precision == "bf16-mixed"
        frozen = module.transfer.batch_norm == "frozen"
        pairs = foldable(module.classifier) if frozen else []
        faster = fast_forward(module.classifier, fold=pairs, depthwise_fp32=bf16_on_cpu)
        with kept_memory(), faster:
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
