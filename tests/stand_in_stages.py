"""Stand-ins for the stages of an experiment, and what its sweeps leave; `run` uses them."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pandas as pd
from mlflow import MlflowClient

from graftwork.config.errors import UserError
from graftwork.data import manifest
from graftwork.experiment import Experiment
from graftwork.recording.opening import open_run
from graftwork.storage.artifacts import Artifacts
from graftwork.training.history import write_history
from pipelines import evaluate as stage_of_evaluation

SMALL = ["model=tiny_cnn", "transfer=from_scratch", "trainer=smoke"]


def download(settings: Experiment, artifacts: Artifacts) -> None:
    artifacts.raw("x").mkdir(parents=True, exist_ok=True)
    row = {"path": "p", "label": 0, "class": "a", "split": "train", "width": 1, "height": 1}
    row |= {"group": "", "taken": ""}
    row |= {"sha256": str(settings.dataset.splits.seed), "verdict": "ok"}
    manifest.write(pd.DataFrame([row]), artifacts.manifest)


def finetune(settings: Experiment, artifacts: Artifacts) -> None:
    if settings.seed == 13:
        raise UserError("dataset.path: this photo is bad")
    if settings.seed == 14:
        raise RuntimeError("a bug\nin two lines")
    if settings.seed == 15:
        sys.exit(143)
    with open_run(settings, artifacts) as run:
        run.log_metrics({"val/top1": 0.5}, step=0)
    write_history([{"epoch": e, "train/top1": e / 9} for e in (1, 2)], artifacts.history)


def evaluate(settings: Experiment, artifacts: Artifacts) -> None:
    """By the selection score seed 3 is the best; by the test, seed 9."""
    if (
        settings.seed == 4
        and not stage_of_evaluation.leaves_the_test_out(settings)
        and settings.trainer.batch_size == 5
    ):
        raise UserError("the test pictures are gone")
    method = settings.selection.method
    scores = {} if method == "none" else {"top1": interval(0.9 - abs(settings.seed - 3) / 10)}
    looked = {"top1": interval(settings.seed / 10), "macro_f1": {"value": 0.25}}
    result = {
        "selection": {"method": method, "held_out": 9, "fitted": 50, "scores": scores},
        "test": {} if stage_of_evaluation.leaves_the_test_out(settings) else looked,
        "cost": {"parameters": 2_500_000},
    }
    artifacts.metrics.parent.mkdir(exist_ok=True)
    artifacts.metrics.write_text(json.dumps(result))
    with open_run(settings, artifacts):
        pass  # it ends here


def interval(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1, "n": 15}


STAGES = [download, finetune, evaluate]

for stage in STAGES:
    stage.__module__ = f"pipelines.{stage.__name__}"


def only(pattern: str) -> Path:
    (found,) = Path.cwd().glob(pattern)
    return found


def table(sweep: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((sweep / "ranking.csv").read_text().splitlines()))


def client() -> MlflowClient:
    return MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db")


def parent_status(sweep: Path) -> str:
    return client().get_run(json.loads((sweep / "run.json").read_text())["run_id"]).info.status
