"""From the manifest to a trained classifier: by a head alone, or through the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graftwork.training.history import History
from graftwork.training.probe_model import probe_alone
from graftwork.training.source import Finetuned, Source, examples_of

if TYPE_CHECKING:
    import pandas as pd

    from graftwork.experiment import Experiment
    from graftwork.selecting.held_out import HeldOut
    from graftwork.storage.artifacts import Artifacts
    from graftwork.training.history import Told
    from graftwork.training.resuming.legs import Legs


def finetune(
    experiment: Experiment,
    artifacts: Artifacts,
    held_out: HeldOut,
    test: pd.DataFrame | None,
    num_classes: int,
    told: Told,
    legs: Legs | None = None,
) -> Finetuned:
    """Runs the strategy.

    Args:
        held_out: the pictures that may be fitted, and which of them choose.
        test: rows to evaluate after each epoch for a curve that chooses nothing; None: no curve.
        told: called with the numbers of each epoch.
        legs: where trainings keep how far they are; None: nowhere.
    """
    source = source_of(experiment, artifacts, held_out, num_classes, legs)
    head = source.head
    history = History([], told)
    if head is not None:
        history.add(head.facts, 0)
    if head is not None and not experiment.transfer.epochs:
        return probe_alone(source, head, history.rows)
    from graftwork.training.networks import choose_network

    return choose_network(source, test, history)


def source_of(
    experiment: Experiment,
    artifacts: Artifacts,
    held_out: HeldOut,
    num_classes: int,
    legs: Legs | None = None,
) -> Source:
    """What the strategy starts from: features and a head where it has computed ones."""
    if not experiment.transfer.head_init.needs_features:
        return Source(experiment, artifacts, held_out, None, None, num_classes, legs)
    from graftwork.features.feature_store import features_of

    features = held_out.features
    if features is None:
        features = features_of(experiment, artifacts, held_out.rows)
    examples = examples_of(experiment, held_out, features, num_classes)
    head = experiment.transfer.head_init.fit(examples)
    return Source(experiment, artifacts, held_out, features, head, num_classes, legs)
