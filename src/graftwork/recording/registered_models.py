"""The model that holds an alias of MLflow's registry, brought here as a model folder."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING

from graftwork.config.errors import UserError
from graftwork.models.pretrained import RUNS
from graftwork.recording.finished_runs import recorded_at
from graftwork.recording.mlflow_store import check_recorded, open_store
from graftwork.recording.reachable import store_uri, unavailable
from graftwork.recording.recorded_models import bring_model_of
from graftwork.recording.registry import holder_of
from graftwork.serving.places import Found
from graftwork.storage.artifacts import Artifacts
from graftwork.transfer.earlier_runs import RUN_ID

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

REGISTERED = "models:/"  # before NAME@ALIAS, where a folder might stand


class Alias:
    """`models:/NAME@ALIAS` in the registry of a project's store.

    Of the version that holds it nothing is brought but the model folder of its run, which whoever
    loads it checks; MLflow's own files, some of them code, stay where they are.

    Raises:
        UserError: the word names no alias, or the project has no store.
    """

    def __init__(self, word: str, artifacts: Artifacts) -> None:
        match = re.fullmatch(REGISTERED + "([^/@]+)@([^/@]+)", word)
        if match is None:
            raise UserError(
                f"MODEL: '{word}' names no alias. Legal: models:/NAME@ALIAS, such as "
                "models:/produce@champion, as `graftwork register` says it."
            )
        self._word, self._artifacts, (self._name, self._alias) = word, artifacts, match.groups()
        self._uri = recorded_at(artifacts.params)
        if self._uri is None:
            check_recorded(artifacts)

    def found(self) -> Found:
        """What holds it now, brought where it is not here yet.

        Raises:
            UserError: nobody holds it, its model is none of graftwork's, or the store is away.
        """
        version = self._version()
        run_id = str(version.run_id)
        if not RUN_ID.fullmatch(run_id):
            raise UserError(
                f"MODEL: version {version.version} of {self._word} has no run of this store. "
                "Register a finished run: graftwork register."
            )
        target = self._artifacts.weights(RUNS) / run_id
        bring_model_of(run_id, self._uri, self._artifacts, target, ("MODEL", "RUNS_FOLDER/model"))
        return Found(target, f"{self._word} version {version.version} run:{run_id}")

    def _version(self) -> ModelVersion:
        try:
            holder = holder_of(self._client, self._name, self._alias)
        except UserError:
            raise
        except Exception as error:  # whatever a server that goes away may raise
            raise unavailable(store_uri(self._uri, self._artifacts), error) from error
        if holder is None:
            raise UserError(
                f"MODEL: nobody holds {self._word}. Give a run the alias: graftwork register RUN "
                f"--name {self._name} --alias {self._alias}"
            )
        return holder

    @cached_property
    def _client(self) -> MlflowClient:
        return open_store(self._uri, self._artifacts)
