"""The frozen backbone's features of every split, once, into the feature store."""

from __future__ import annotations

from graftwork.data import manifest
from graftwork.experiment import Experiment
from graftwork.features import feature_store as features
from graftwork.selecting.held_out import needs_features
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import write_json
from pipelines.ahead import check_ahead
from pipelines.evaluate import leaves_the_test_out
from pipelines.stage import main


def run(experiment: Experiment, artifacts: Artifacts) -> None:
    """Runs the frozen backbone over the manifest's usable pictures; in a sweep that looks at the
    winner's test alone, not over those of the test."""
    frame = manifest.read(artifacts.manifest)
    classes = len(manifest.read_classes(artifacts.classes))
    if features.needed(experiment) or needs_features(experiment, frame, classes):
        test = not leaves_the_test_out(experiment)
        receipt = features.extract(experiment, artifacts, test=test)
    else:  # a strategy that never looks at them should not pay for them
        receipt = {"count": 0, "extracted": 0, "why": f"{experiment.transfer.name} needs none"}
    write_json(artifacts.feature_receipt, receipt)


if __name__ == "__main__":
    main(run, check_ahead)
