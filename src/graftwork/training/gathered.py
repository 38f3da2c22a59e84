"""The weights that an average gathered, given to the classifier."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from graftwork.metrics.log_loss import log_losses
from graftwork.metrics.softmax import softmax
from graftwork.training.batch_statistics import settle
from graftwork.training.course import TrainingRows
from graftwork.training.datamodule import TrainingData
from graftwork.training.pictures import loading, pictures_of
from graftwork.training.stored_prefix import StoredPrefix, logits_of

if TYPE_CHECKING:
    from graftwork.experiment import Experiment
    from graftwork.models.network.classifier import Classifier
    from graftwork.storage.artifacts import Artifacts
    from graftwork.transfer.bound.gathering import Gathering, Score


def place(
    gathering: Gathering,
    experiment: Experiment,
    artifacts: Artifacts,
    classifier: Classifier,
    shown: TrainingRows,
    prefix: StoredPrefix | None = None,
) -> None:
    """Gives the classifier the weights that were gathered, and leaves it on the CPU.

    Every process sees all training pictures in the same batches, so that statistics computed anew
    are those of one.
    """
    held_out, unwatched = shown.watched.get("val"), TrainingRows(shown.fit, {})
    device = "cuda" if experiment.trainer.uses_gpu() else "cpu"

    def settled() -> None:
        if prefix is None:
            spec = classifier.input_spec
            data: TrainingData = pictures_of(experiment, artifacts, spec, unwatched, alone=True)
        else:
            data = prefix.data(unwatched, **loading(experiment, alone=True))
        with nullcontext() if prefix is None else prefix.reading(classifier):
            settle(classifier, data.train_dataloader(), device)

    def asked() -> Score:
        assert held_out is not None
        found = softmax(logits_of(experiment, artifacts, classifier, held_out, prefix))
        classifier.cpu()
        labels = held_out["label"].to_numpy()
        return float((found.argmax(1) == labels).mean()), -float(log_losses(found, labels).mean())

    gathering.place(classifier.cpu().eval(), settled, None if held_out is None else asked)
