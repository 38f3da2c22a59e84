"""The backbone that an experiment starts from: its weights found, checked and loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graftwork.experiment import Experiment
from graftwork.storage.artifacts import Artifacts

if TYPE_CHECKING:
    from graftwork.models.network.classifier import Classifier


def receipt(experiment: Experiment, artifacts: Artifacts) -> dict[str, Any] | None:
    """What is known of the weights that it starts from; None for a random start.

    Raises:
        UserError: they are not there.
    """
    model = experiment.model
    return experiment.transfer.start.receipt(model, artifacts.weights(model.name))


def build(experiment: Experiment, artifacts: Artifacts) -> Classifier:
    """The network with a head of one output; the same seed gives the same backbone.

    torch's own generator is left as it was.

    Raises:
        UserError: the weights are no longer what they were, or do not fit.
    """
    import torch

    model = experiment.model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(experiment.seed)
        return experiment.transfer.start.network(model, artifacts.weights(model.name))
