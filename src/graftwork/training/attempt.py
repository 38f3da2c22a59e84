"""One training of a network without some pictures, and what it says of them along the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from graftwork.metrics.softmax import softmax
from graftwork.training.course import AS_THE_STRATEGY_SAYS, Course, TrainingRows
from graftwork.training.fitting import train
from graftwork.training.going_on import GoingOn, StillLow
from graftwork.training.history import History
from graftwork.training.source import Source
from graftwork.training.stored_prefix import logits_of
from graftwork.training.trained import Trained

if TYPE_CHECKING:
    import pandas as pd

    from graftwork.experiment import Experiment
    from graftwork.models.base import Head
    from graftwork.models.network.classifier import Classifier
    from graftwork.storage.artifacts import Artifacts
    from graftwork.transfer.parts import FittedHead, Moment


@dataclass(frozen=True)
class Attempted:
    """A network trained without some pictures, and what it said of them along the way."""

    classifier: Classifier  # at the end of the way
    trained: Trained
    end: dict[str, torch.Tensor]  # the state dict there
    probabilities: list[np.ndarray]  # [held out, num_classes] at each share


def attempted(
    source: Source,
    out: np.ndarray,
    watched: Mapping[str, pd.DataFrame],
    history: History,
    shares: Sequence[float],
) -> Attempted:
    """A network that has not seen the pictures of `out`, booleans `[n]`."""
    experiment, held_out = source.experiment, source.held_out
    head = source.head_without(out) if out.any() else source.head
    away = held_out.rows[out].reset_index(drop=True)
    splits = {"val": away, **watched} if len(away) else dict(watched)
    classifier = new_network(source, head)
    trained = train_on(source, classifier, ~out, splits, history)
    end = state_of(classifier)
    found = []
    for share in shares:
        if share == 0 and head is not None and source.features is not None:
            logits = head.logits(source.features[out])  # stored: no pass through the network
        else:
            experiment.transfer.average.place(classifier, trained.start, end, share)
            logits = logits_of(experiment, source.artifacts, classifier, away, trained.prefix)
        found.append(softmax(logits) if len(away) else np.zeros((0, source.num_classes)))
    return Attempted(classifier, trained, end, found)


def new_network(source: Source, head: FittedHead | None) -> Classifier:
    """See `new_classifier`."""
    return new_classifier(source.experiment, source.artifacts, head, source.num_classes)


def head_of(source: Source) -> Head:
    """The kind of head that is trained."""
    return source.experiment.model.head if source.head is None else source.head.head


def train_on(
    source: Source,
    classifier: Classifier,
    fitted: np.ndarray,
    watched: Mapping[str, pd.DataFrame],
    history: History,
    course: Course = AS_THE_STRATEGY_SAYS,
) -> Trained:
    """Trains the classifier on the pictures of `fitted`, booleans `[n]`; see `fitting.train`."""
    shown = TrainingRows(source.held_out.rows[fitted].reset_index(drop=True), watched)
    return train(
        source.experiment, source.artifacts, classifier, shown, source.num_classes, history,
        course, source.legs,
    )  # fmt: skip


def going_on(source: Source, ended: Moment) -> Source:
    """For a training that goes on where one ended: what was trained then is trained all the time,
    rates that had fallen stay low, and penalties do not come back."""
    transfer = source.experiment.transfer
    trainable, schedule = GoingOn(transfer.trainable, ended), StillLow(transfer.schedule, ended)
    transfer = replace(transfer, trainable=trainable, schedule=schedule, penalties={})
    return replace(source, experiment=replace(source.experiment, transfer=transfer))


def new_classifier(
    experiment: Experiment, artifacts: Artifacts, head: FittedHead | None, num_classes: int
) -> Classifier:
    """The network as it stands before its first step; the same for the same seed."""
    from graftwork.features.engines import backbone

    classifier = backbone.build(experiment, artifacts)
    torch.manual_seed(experiment.seed)
    kind = experiment.model.head if head is None else head.head
    classifier.head = kind.build(classifier.num_features, num_classes)
    if head is not None:
        tensors = {name: torch.from_numpy(array) for name, array in head.tensors.items()}
        classifier.head.load_state_dict(tensors)
    return classifier


def state_of(classifier: Classifier) -> dict[str, torch.Tensor]:
    """A copy of its weights and buffers as they are now."""
    return {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
