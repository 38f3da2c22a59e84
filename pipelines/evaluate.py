"""evaluate: numbers with intervals, pictures and a report of the test split."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.process import distributed
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import write_json
from pipelines.stage import main

if TYPE_CHECKING:
    import pandas as pd

    from graftwork.evaluating.measurements import Measurements
    from graftwork.recorders.base import Recording

TEST = "GRAFTWORK_TEST"  # environment: `later` where a sweep's end says whose test is looked at


def run(experiment: Experiment, artifacts: Artifacts) -> None:
    """Measures the model folder on the test split and resumes the MLflow run with the results."""
    from graftwork.data import manifest
    from graftwork.evaluating import probabilities as split_predictions
    from graftwork.evaluating import several_views
    from graftwork.evaluating.measurements import measurements

    begun = time.perf_counter()
    frame = manifest.of_split(manifest.read(artifacts.manifest), "test")
    if frame.empty:
        raise UserError(
            "dataset: the test split has no usable picture, so nothing can be measured. Give some, "
            "or let some be set aside: dataset.splits.test_fraction=0.2."
        )
    _check_classes(artifacts)
    test, looked = None, None
    if not leaves_the_test_out(experiment):
        several = experiment.evaluation.views > 1
        parallel = several or split_predictions.needs_network(artifacts)
        wanted, limit = experiment.trainer.processes, experiment.trainer.group_timeout
        if parallel and distributed.relaunched(wanted, artifacts, "pipelines.evaluate", limit):
            return
        looked = several_views.looked(experiment, artifacts, frame)
        test = frame, looked.mean
        if distributed.rank() != 0:
            return
    speed = len(frame) / looked.seconds if looked else None
    found = measurements(experiment, artifacts, test, looked)
    record(experiment, artifacts, found, frame, speed, begun)


def _check_classes(artifacts: Artifacts) -> None:
    """Raises UserError where the model knows other classes than the data has."""
    from graftwork.data.manifest import read_classes
    from graftwork.model_folder import contents as model_folder

    classes = read_classes(artifacts.classes)
    known = model_folder.read_contract(artifacts.model).classes
    if list(known) == classes:
        return
    differ = sorted(set(known) ^ set(classes))
    raise UserError(
        f"{artifacts.model}: was trained for {len(known)} classes, the data has {len(classes)}"
        + (f" (not in both: {', '.join(differ[:5])})" if differ else ", in another order")
        + ". Train on this data: dvc repro."
    )


def leaves_the_test_out(experiment: Experiment) -> bool:
    """Whether the test is for the winner of a sweep alone, which its jobs' scores tell later."""
    wanted = experiment.evaluation.test_in_sweeps == "winner"
    return os.environ.get(TEST) == "later" and wanted and experiment.selection.method != "none"


def record(
    experiment: Experiment,
    artifacts: Artifacts,
    found: Measurements,
    frame: pd.DataFrame,
    speed: float | None,
    begun: float,
) -> None:
    """Everything that is written, printed and logged once the numbers are known.

    Args:
        found: the numbers.
        frame: the test split.
        speed: test pictures/s; None where the test is not looked at.
        begun: when evaluation started (perf_counter).
    """
    from graftwork.data.manifest import read_classes
    from graftwork.recording.opening import noted_run, open_run
    from graftwork.reporting import summary

    classes = read_classes(artifacts.classes)
    cost = _write(experiment, artifacts, found, classes, speed, begun)
    result: dict[str, Any] = {
        "title": summary.title(experiment),
        "confidence": experiment.evaluation.confidence,
        "selection": found.selection_entry(),
        "test": found.scores,
        "start": found.start,
        "views": found.views,
        "engine": found.engine,
        "cost": cost,
        "run_id": noted_run(artifacts),
    }
    write_json(artifacts.metrics, result)  # before any store of runs can be in the way
    with open_run(experiment, artifacts) as tracked:
        write_json(artifacts.metrics, {**result, "run_id": tracked.run_id})
        _log(artifacts, found, cost, tracked)
        if experiment.tracking.log_model:
            tracked.log_model(artifacts.model, experiment.dataset.open(frame["path"].iloc[0]))
    if os.environ.get("GRAFTWORK_RESULTS") == "later":
        return  # whoever says so prints them, also when this stage has nothing to do
    metrics = experiment.evaluation.metrics_for(len(classes))
    summary.show(result, metrics, result["confidence"], result["title"], artifacts)


def _write(
    experiment: Experiment,
    artifacts: Artifacts,
    found: Measurements,
    classes: list[str],
    speed: float | None,
    begun: float,
) -> dict[str, Any]:
    """Writes predictions, pictures and report; returns what all of it took."""
    from graftwork.evaluating import prediction_table as predictions
    from graftwork.profiling.stored import measured_costs, static_costs
    from graftwork.reporting import cost_entry, evaluation_report

    artifacts.predictions.unlink(missing_ok=True)
    if found.test is not None:
        predictions.write(artifacts.predictions, found.test[0], classes, found.test[1])
    profile = static_costs(experiment.model, len(classes), artifacts)
    measured = measured_costs(experiment.model, len(classes), artifacts)
    cost = cost_entry.cost(artifacts, speed, begun, profile, measured)
    evaluation_report.write(experiment, artifacts, found, classes, cost, profile)
    return cost


def _log(
    artifacts: Artifacts, found: Measurements, cost: Mapping[str, Any], tracked: Recording
) -> None:
    from graftwork.model_folder import contents as model_folder
    from graftwork.profiling.timing import is_disturbed
    from graftwork.reporting.engine_words import tags
    from graftwork.reporting.evaluation_report import flat, flat_views

    # Behind the test curve that trainer.watch_test draws under the same names.
    trained = model_folder.read_contract(artifacts.model).training["epochs"]
    disturbed = str(is_disturbed(cost["machine"])).lower()
    with tracked.at_once():
        tracked.set_tags({"selection.method": found.record.method, "cost.disturbed": disturbed})
        tracked.set_tags(tags(found.engine))
        tracked.log_metrics(flat(found.scores), step=trained)
        tracked.log_metrics(flat(found.selection, "selection"), step=trained)
        if found.views is not None:
            tracked.log_metrics(flat_views(found.views), step=trained)
        tracked.log_cost(cost)
    written = (artifacts.metrics, artifacts.report, artifacts.predictions, artifacts.selection)
    for path in (*written, artifacts.held_out):
        if path.is_file():
            tracked.log_artifacts(path)
    tracked.log_artifacts(artifacts.plots, "plots")


if __name__ == "__main__":
    main(run, goes_on=True)
