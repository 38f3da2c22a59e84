"""The model folder that a word of the command line names."""

from __future__ import annotations

from pathlib import Path

from graftwork.config.errors import UserError
from graftwork.model_folder.contents import folder_at
from graftwork.models.pretrained import RUNS
from graftwork.recording.finished_runs import recorded_at
from graftwork.recording.recorded_models import bring_model_of
from graftwork.storage.artifacts import Artifacts
from graftwork.transfer.earlier_runs import RUN_ID
from graftwork.transfer.starts import existing

RUN = "run:"  # before the id of a run, where a folder might stand
NAME_IT = "Name a model folder, a run's folder, or run:ID, which `graftwork results` shows."


def named_model(word: str, artifacts: Artifacts) -> Path:
    """The model folder that a word names: one, a run's folder, or `run:ID` of a recorded run.

    Args:
        artifacts: of the project, in whose store runs are recorded; a recorded model is kept in it.

    Raises:
        UserError: there is no such folder or run, or no model was recorded with it.
    """
    if not word.startswith(RUN):
        return folder_at(existing(word, "folder", "MODEL", NAME_IT))
    run_id = word.removeprefix(RUN)
    if not RUN_ID.fullmatch(run_id):
        raise UserError(
            f"MODEL: '{word}' names no run. Legal: run: and 32 digits 0-9 a-f, as `graftwork "
            "results` shows them."
        )
    target = artifacts.weights(RUNS) / run_id
    asked = "MODEL", "THE_RUNS_FOLDER/model"
    bring_model_of(run_id, recorded_at(artifacts.params), artifacts, target, asked)
    return target
