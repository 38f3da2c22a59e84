"""The backbone that an experiment starts from: its weights found, checked and loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.models.pretrained import weights_receipt
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import sha256_of

if TYPE_CHECKING:
    from graftwork.models.network.classifier import Classifier


def receipt(experiment: Experiment, artifacts: Artifacts) -> dict[str, Any] | None:
    """What the download stage wrote of the weights; None for a random start.

    Raises:
        UserError: the download stage has not run for this model.
    """
    if experiment.transfer.initialisation == "random":
        return None
    found = weights_receipt(artifacts.weights(experiment.model.name))
    return found if found["file"] else None


def build(experiment: Experiment, artifacts: Artifacts) -> Classifier:
    """The network with a head of one output; the same seed gives the same backbone.

    torch's own generator is left as it was.

    Raises:
        UserError: the weights are no longer what was downloaded: one flipped bit would load
            without a word.
    """
    import torch

    weights, found = None, receipt(experiment, artifacts)
    if found is not None:
        weights = artifacts.weights(experiment.model.name) / found["file"]
        actual = sha256_of(weights) if weights.is_file() else "no file"
        if actual != found["sha256"]:
            raise UserError(
                f"{weights}: has changed since its download: sha256 {found['sha256']} was "
                f"verified, {actual} is there. Remove {weights.parent} and run the stage "
                "download again."
            )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(experiment.seed)
        return experiment.model.build(1, weights)
