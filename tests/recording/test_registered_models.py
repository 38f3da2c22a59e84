"""`models:/NAME@ALIAS`: the model that holds an alias is brought, and a service follows it."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput
from running_service import service
from untrained_model import save_model, untrained

from graftwork.config.errors import UserError
from graftwork.model_folder import contents as model_folder
from graftwork.recording.mlflow_store import open_store
from graftwork.recording.named_models import followed_model, named_model
from graftwork.recording.registry import register
from graftwork.storage.artifacts import Artifacts

WORD = "models:/produce@champion"


@pytest.fixture
def project(tmp_path: Path, tiny_params: Callable[..., Any]) -> tuple[Any, Artifacts, MlflowClient]:
    """An experiment with a model folder, and its project's store."""
    experiment, artifacts, _ = untrained(tiny_params("evaluation.engine=torch"), tmp_path)
    return experiment, artifacts, open_store(None, Artifacts.at(tmp_path))


def recorded(client: MlflowClient, model: Path) -> str:
    """The id of a finished run with this model, as MLflow's pyfunc lays it out: code beside it."""
    run_id = client.create_run("0").info.run_id
    logged = client.create_logged_model("0", "model", source_run_id=run_id)
    whole = model.with_name(f"pyfunc-{run_id}")
    shutil.copytree(model, whole / "data" / "model")
    (whole / "python_model.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    client.log_model_artifacts(logged.model_id, str(whole))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    client.set_terminated(run_id, "FINISHED")
    return str(run_id)


def test_a_service_takes_over_what_the_alias_comes_to_point_at(project, tmp_path) -> None:
    experiment, artifacts, client = project
    own, photo = Artifacts.at(tmp_path), next(tmp_path.rglob("*.jpg")).read_bytes()
    first = recorded(client, artifacts.model)
    register(tmp_path, f"run:{first}", "produce", "champion", force=True)
    find = followed_model(WORD, own)
    folder = find().folder
    assert sorted(path.name for path in folder.iterdir()) == [
        "backbone.safetensors", "head.safetensors", "model.json",
    ]  # fmt: skip
    save_model(experiment, artifacts, trained_share=0.5)
    second = recorded(client, artifacts.model)
    statuses = []
    with service(folder, artifacts.trained, find=find) as found:
        ending = threading.Event()

        def ask() -> None:
            while not ending.is_set():
                statuses.append(found.posted(photo).status)

        asking = threading.Thread(target=ask)
        asking.start()
        assert found.got("/model").json["source"] == f"{WORD} version 1 run:{first}"
        register(tmp_path, f"run:{second}", "produce", "champion", force=True)
        wait_for(lambda: second in found.got("/model").json["source"])
        told = found.got("/model").json
        assert f'source="{WORD} version 2 run:{second}"' in found.got("/metrics").body.decode()
        client.delete_registered_model_alias("produce", "champion")
        wait_for(lambda: found.got("/model").json["newest_is_refused"])
        assert "nobody holds" in found.got("/model").json["newest_is_refused"]
        client.set_registered_model_alias("produce", "champion", "2")
        wait_for(lambda: not found.got("/model").json["newest_is_refused"])
        ending.set()
        asking.join()
    assert set(statuses) == {200}
    assert told["version"] == found.serving.current.version
    assert model_folder.read_contract(find().folder).training["trained_share"] == 0.5


def wait_for(happened: Callable[[], Any]) -> None:
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_an_alias_that_nobody_holds_and_versions_of_others_are_refused(project, tmp_path) -> None:
    _, artifacts, client = project
    for word, says in {
        "models:/produce": "names no alias. Legal: models:/NAME@ALIAS",
        "models:/produce/3": "names no alias",
        WORD: "nobody holds models:/produce@champion. .*graftwork register RUN --name produce",
    }.items():
        with pytest.raises(UserError, match=says):
            named_model(word, Artifacts.at(tmp_path))
    client.create_registered_model("produce")
    client.create_model_version("produce", source=str(artifacts.model))
    client.set_registered_model_alias("produce", "champion", "1")
    with pytest.raises(UserError, match="version 1 of .* has no run of this store"):
        named_model(WORD, Artifacts.at(tmp_path))
    with pytest.raises(UserError, match="no runs are recorded here yet"):
        named_model(WORD, Artifacts.at(tmp_path / "elsewhere"))
