"""Stage: every image decoded once; manifest, splits and a data report."""

from __future__ import annotations

from graftwork.data.preparing.data_report import show
from graftwork.data.preparing.preparation import prepare
from graftwork.experiment import Experiment
from graftwork.storage.artifacts import Artifacts
from pipelines.stage import main


def run(experiment: Experiment, artifacts: Artifacts) -> None:
    """Prepares the data set of this experiment."""
    show(prepare(experiment.dataset, artifacts), artifacts.data_report)


if __name__ == "__main__":
    main(run)
