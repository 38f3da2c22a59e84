"""Pictures on their way into a training: how an experiment's loaders are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graftwork.data.images import DecodedImages, eval_view
from graftwork.features.prefixes.views import repeated
from graftwork.process import distributed
from graftwork.training.datamodule import PictureData, View
from graftwork.training.loader_faults import check_room

if TYPE_CHECKING:
    from graftwork.experiment import Experiment
    from graftwork.models.base import InputSpec
    from graftwork.storage.artifacts import Artifacts
    from graftwork.training.course import TrainingRows


def pictures_of(
    experiment: Experiment,
    artifacts: Artifacts,
    spec: InputSpec,
    shown: TrainingRows,
    *,
    alone: bool = False,
) -> PictureData:
    """Pictures as a network of this input sees them in training, and those that are watched.

    Args:
        alone: as if this were the only process.
    """
    experiment.dataset.warn_if_enlarged(spec)
    check_room(experiment.trainer.workers, experiment.trainer.images_a_pass * spec.size**2 * 3)
    return PictureData(
        shown.fit,
        shown.watched,
        DecodedImages(artifacts, experiment.dataset),
        augment=_training_view(experiment, spec, len(shown.fit)),
        view=lambda image: eval_view(image, spec),
        **loading(experiment, alone=alone),
    )


def _training_view(experiment: Experiment, spec: InputSpec, rows: int) -> View:
    """What training sees of (picture, epoch, index): a new view in each epoch, or one of a few."""
    augment = experiment.augmentation.build(spec, experiment.seed)
    count = experiment.extraction.views
    if count is None:
        return augment
    return lambda image, epoch, index: augment(image, *repeated(epoch, index, rows, count))


def loading(experiment: Experiment, *, alone: bool = False) -> dict[str, Any]:
    """Options of `TrainingData`."""
    return {
        "batch_size": experiment.trainer.images_a_pass,
        "passes": experiment.trainer.accumulate,
        "workers": experiment.trainer.workers,
        "timeout": experiment.trainer.loader_timeout,
        "seed": experiment.seed,
        "rank": 0 if alone else distributed.rank(),
        "processes": 1 if alone else distributed.world_size(),
        "sampler": experiment.transfer.sampler,
    }
