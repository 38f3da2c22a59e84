"""The model folder that a word of the command line names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from graftwork.config.errors import UserError
from graftwork.model_folder.contents import folder_at
from graftwork.models.pretrained import RUNS
from graftwork.recording.finished_runs import recorded_at
from graftwork.recording.recorded_models import bring_model_of
from graftwork.recording.registered_models import REGISTERED, Alias
from graftwork.serving.places import Found
from graftwork.storage.artifacts import Artifacts
from graftwork.transfer.earlier_runs import RUN_ID
from graftwork.transfer.starts import existing

RUN = "run:"  # before the id of a run, where a folder might stand
NAME_IT = (
    "Name a model folder, a run's folder, run:ID, which `graftwork results` shows, or "
    "models:/NAME@ALIAS."
)


def named_model(word: str, artifacts: Artifacts) -> Path:
    """The model folder that a word names: one, a run's folder, `run:ID` of a recorded run, or
    `models:/NAME@ALIAS` of the registry.

    Args:
        artifacts: of the project, in whose store runs are recorded; a recorded model is kept in it.

    Raises:
        UserError: there is no such folder or run, or no model was recorded with it.
    """
    if word.startswith(REGISTERED):
        return Alias(word, artifacts).found().folder
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


def followed_model(word: str, artifacts: Artifacts) -> Callable[[], Found]:
    """The same for who asks again and again: an alias may come to name another model folder.

    Raises:
        UserError: as of `named_model`; and so does what is returned, of an alias.
    """
    if word.startswith(REGISTERED):
        return Alias(word, artifacts).found
    found = Found(named_model(word, artifacts), word if word.startswith(RUN) else "folder")
    return lambda: found
