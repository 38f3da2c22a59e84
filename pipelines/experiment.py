"""All stages as one Hydra application: an experiment, or with -m a sweep of them.

    python -m pipelines.experiment model=mobilenetv2 transfer=linear_probe
    python -m pipelines.experiment -m model=mobilenetv2,resnet50 transfer=linear_probe,lp_ft
    python -m pipelines.experiment sweep=NAME model=mobilenetv2,resnet50 transfer=lp_ft

A sweep that has a name goes on where it stopped when it is started again (see named_sweep).
Each job has a folder of its own under runs/; downloads, decoded images and features are shared.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from pathlib import Path

import hydra
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.process.stopping import stop_orderly
from graftwork.recording.tracked_run import GOES_ON
from graftwork.storage.artifacts import Artifacts
from pipelines import early_end, launchers, minutes, named_sweep, sweep, sweepers
from pipelines.ahead import check_ahead
from pipelines.overrides import CONF, Request, quoted, requested
from pipelines.ranking import PRUNED, selection_score
from pipelines.stage import Run, check_recorder, measured, reported

log = logging.getLogger(__name__)
named_sweep.register()


def stages() -> list[Run]:
    """What an experiment does, in order; the same functions that `dvc repro` runs."""
    from pipelines import download, evaluate, extract_features, finetune, prepare

    return [download.run, prepare.run, extract_features.run, finetune.run, evaluate.run]


def job(config: DictConfig) -> float | None:
    """One experiment in its own folder. Returns its selection score as the sweeper wants it."""
    place = HydraConfig.get()
    with launchers.at_work(place.launcher):
        return _job(config, place)


def _job(config: DictConfig, place: HydraConf) -> float | None:
    artifacts = Artifacts.at(place.runtime.output_dir, shared=place.runtime.cwd)
    OmegaConf.resolve(config)
    params = OmegaConf.to_yaml(config)
    _forget_peak()
    if place.mode == RunMode.MULTIRUN:
        overrides = list(place.overrides.task)
        folder, number = Path(place.sweep.dir), place.job.num
        score = sweep.member(artifacts, folder, number, overrides, params, conduct)
        return sweepers.handed(score, sweepers.facts(place.sweeper), config.selection.direction)
    artifacts.params.write_text(params, encoding="utf-8")
    with reported():
        conduct(artifacts)
        return selection_score(artifacts)


# Apart from `job`, which launchers send to other processes by its name.
application = hydra.main(version_base=None, config_path=str(CONF), config_name="config")(job)


def conduct(artifacts: Artifacts) -> None:
    """Runs every stage on params.yaml. A run in MLflow ends with the experiment."""
    experiment = Experiment.from_file(artifacts.params)
    check_recorder(experiment, artifacts)
    check_ahead(experiment)
    try:
        *earlier, last = stages()
        with sweep.environment({GOES_ON: "yes"}):
            for run in earlier:
                _done(run, experiment, artifacts)
        _done(last, experiment, artifacts)
        _forget_training(experiment, artifacts)
    except BaseException as error:
        if early_end.told(artifacts).get("status") == PRUNED:
            _forget_training(experiment, artifacts)
        if artifacts.run.is_file() or not isinstance(error, UserError):
            _record_failure(experiment, artifacts, error)
        raise


def _done(run: Run, experiment: Experiment, artifacts: Artifacts) -> None:
    log.info("%s", run.__module__.rpartition(".")[2])
    measured(run, experiment, artifacts)


def _forget_training(experiment: Experiment, artifacts: Artifacts) -> None:
    """Only now: a run that is cut in a later stage passes over the training that is done."""
    from pipelines import finetune

    finetune.forget(experiment, artifacts)


def look_at_test(artifacts: Artifacts) -> None:
    """The evaluate stage of a job that has left its test to the sweep's end."""
    _forget_peak()
    measured(stages()[-1], Experiment.from_file(artifacts.params), artifacts)


def _record_failure(experiment: Experiment, artifacts: Artifacts, error: BaseException) -> None:
    from graftwork.recording.opening import open_run

    with suppress(UserError, OSError):  # a store that is away must not hide what went wrong
        open_run(experiment, artifacts).close(error)


def _forget_peak() -> None:
    """Starts peak memory anew: jobs of a sweep share a process, but not each other's cost."""
    with suppress(OSError):  # Linux only; elsewhere a job may be told an earlier one's peak
        Path("/proc/self/clear_refs").write_text("5")


def run_sweep(request: Request, first: Experiment) -> int:
    """Runs a sweep's jobs under one parent run. Returns the exit code: 0 if all finished."""
    assert request.sweep_folder is not None
    folder, shared = request.sweep_folder, Path.cwd()
    baselines = first.evaluation.baselines
    ended_as = sweep.recorded(
        folder, request.swept, first.tracking, shared, look_at_test, baselines,
        planned=named_sweep.planned(request.overrides, request.swept) if request.is_grid else [],
    )  # fmt: skip
    with ended_as as ended:
        sys.argv.append(f"hydra.sweep.dir={quoted(str(folder))}")
        # params.yaml and job.json say what a job is: Hydra's own three files would cost more time.
        sys.argv.append("hydra.output_subdir=null")
        with launchers.starting(folder, request.launcher):
            application()
    return int(ended.failures > 0)


def main() -> None:
    """The command line. Exit code 2 and one message for a mistake, before any work."""
    built: list[Experiment] = []
    with reported(), launchers.quick():
        sys.argv[1:] = named_sweep.arguments_of(minutes.arguments_of(sys.argv[1:]))
        request = requested(sys.argv[1:], lambda params: built.append(_build(params)))
        if request:
            _say_where(Path.cwd())
        os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # what is left are no user's mistakes
        stop_orderly()
        if request and request.sweep_folder:
            raise SystemExit(run_sweep(request, built[0]))
        application()


def _say_where(folder: Path) -> None:
    """Of the wrong folder, people learn otherwise when all has been downloaded a second time."""
    if not (folder / "dvc.yaml").is_file() and not (folder / "conf").is_dir():
        print(
            f"Note: {folder} is no project (no dvc.yaml, no conf/); data/, store/, runs/ and "
            "mlflow.db are written there all the same.",
            file=sys.stderr,
        )


def _build(params: object) -> Experiment:
    assert isinstance(params, dict)
    experiment = Experiment.from_params(params)
    experiment.tracking.check()
    return experiment


if __name__ == "__main__":
    # Under its own name, by which other processes find what they are sent.
    from pipelines.experiment import main as named

    named()
