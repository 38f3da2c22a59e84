"""download: raw pictures and pretrained weights, verified."""

from __future__ import annotations

from pathlib import Path

from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.models.pretrained import RUNS, bring_weights
from graftwork.storage.artifacts import Artifacts
from pipelines.stage import main


def run(experiment: Experiment, artifacts: Artifacts) -> None:
    """Brings the data set and the model's weights; what already is there is left alone."""
    dataset, model, start = experiment.dataset, experiment.model, experiment.transfer.start
    check_apart(start.watched, artifacts)
    weights = artifacts.weights(model.name)
    if start.recorded:  # first: a run that is not there should cost nothing
        from graftwork.recording.recorded_models import bring_model

        bring_model(start.recorded, experiment.tracking, artifacts, weights / RUNS / start.recorded)
    dataset.download(artifacts.raw(dataset.name), artifacts.downloads)
    bring_weights(model, weights, artifacts.downloads, wanted=start.is_registry)


def check_apart(path: str, artifacts: Artifacts) -> None:
    """Raises UserError where an experiment would begin from what it is about to write."""
    place = Path(path).expanduser().absolute()
    if place in (artifacts.root, artifacts.model):
        raise UserError(
            f"transfer.start.path: {place} is what this experiment writes. Run it in another "
            "folder, or move the earlier run's folder model away and name that."
        )


if __name__ == "__main__":
    main(run)
