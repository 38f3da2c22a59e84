"""The model that a recorded run has in MLflow, brought back as a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from graftwork.config.errors import UserError
from graftwork.data.sources.fetching import new_folder
from graftwork.recording.mlflow_store import check_recorded, open_store
from graftwork.recording.reachable import store_uri, unavailable

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from graftwork.settings.tracking import Tracking
    from graftwork.storage.artifacts import Artifacts


def bring_model(run_id: str, tracking: Tracking, artifacts: Artifacts, target: Path) -> None:
    """Copies the run's model folder to `target`, whole or not at all; does nothing where it is.

    Raises:
        UserError: there is no such run, or no model was recorded with it.
    """
    asked = "transfer.start.run", "transfer/start=earlier_run transfer.start.path=..."
    bring_model_of(run_id, tracking.uri, artifacts, target, asked)


def bring_model_of(
    run_id: str, uri: str | None, artifacts: Artifacts, target: Path, asked: tuple[str, str]
) -> None:
    """The same, whoever asks.

    Args:
        uri: as of conf/tracking.
        asked: where the user named the run, and how a folder would be named there.
    """
    if target.is_dir():
        return
    if uri is None:
        check_recorded(artifacts)
    client = open_store(uri, artifacts)
    address = store_uri(uri, artifacts)
    place = _place(client, run_id, address, asked)
    # Not by `client.download_artifacts`, which also looks through the run's other files.
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    with new_folder(target) as partial:
        try:
            repository = get_artifact_repository(place, tracking_uri=client.tracking_uri)
            repository.download_artifacts("data", str(partial))
            (model,) = (partial / "data").iterdir()
        except Exception as error:
            raise unavailable(address, error) from error
        for file in model.iterdir():
            file.rename(partial / file.name)
        model.rmdir()
        model.parent.rmdir()


def _place(client: MlflowClient, run_id: str, address: str, asked: tuple[str, str]) -> str:
    """Where the run's model lies."""
    from mlflow.exceptions import MlflowException

    key, instead = asked
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise unavailable(address, error) from error
        raise UserError(
            f"{key}: there is no run {run_id} in {address}. `graftwork results` shows "
            "those that there are."
        ) from error
    outputs = run.outputs.model_outputs if run.outputs else []
    if not outputs:
        raise UserError(
            f"{key}: no model was recorded with {run_id} (tracking.log_model). Name the run's "
            f"folder instead: {instead}"
        )
    place: str = client.get_logged_model(outputs[0].model_id).artifact_location
    return place
