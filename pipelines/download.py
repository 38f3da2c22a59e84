"""download: raw pictures and pretrained weights, verified."""

from __future__ import annotations

from graftwork.experiment import Experiment
from graftwork.models.pretrained import bring_weights
from graftwork.storage.artifacts import Artifacts
from pipelines.stage import main


def run(experiment: Experiment, artifacts: Artifacts) -> None:
    """Brings the data set and the model's weights; what already is there is left alone."""
    dataset, model = experiment.dataset, experiment.model
    dataset.download(artifacts.raw(dataset.name), artifacts.downloads)
    wanted = experiment.transfer.start.is_registry
    bring_weights(model, artifacts.weights(model.name), artifacts.downloads, wanted=wanted)


if __name__ == "__main__":
    main(run)
