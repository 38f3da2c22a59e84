"""`graftwork replay`: the step at which a training diverged, run again."""

from __future__ import annotations

import json
from pathlib import Path

from graftwork.cli.stages import run_module
from graftwork.config.errors import UserError
from graftwork.storage.artifacts import Artifacts

BY_ID = "run:"


def run(name: str) -> int:
    """Runs it in a process of its own. Its exit code: 0 if the step gave the same bits, else 1.

    Args:
        name: folder of the experiment, or `run:` and the id of its run in MLflow.

    Raises:
        UserError: there is no such experiment.
    """
    artifacts = Artifacts.at(root_of(name), Path.cwd())
    if not artifacts.params.is_file():
        raise UserError(
            f"{artifacts.params}: no such file. Name the folder of an experiment, or run:ID."
        )
    places = ["--root", str(artifacts.root), "--shared", str(artifacts.shared)]
    return run_module("pipelines.replay", places)


def root_of(name: str) -> Path:
    """Folder of an experiment whose training is under way or was cut, by any of its names."""
    if not name.startswith(BY_ID):
        return Path(name)
    run_id, training = name.removeprefix(BY_ID), Artifacts.at(Path.cwd()).training
    for path in training.glob("*/run.json"):
        if json.loads(path.read_text()).get("run_id") == run_id:
            for record in path.parent.glob("*/diverged.step"):
                return Path(json.loads(record.read_text())["root"])
    raise UserError(
        f"{name}: {training} holds no step of this run. Steps are kept of trainings that diverged, "
        "until they have succeeded, on the machine where they ran."
    )
