"""The recorded model, loaded in a process that knows MLflow and the store, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from tiny_experiment import tiny_experiment, usable

from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.model_folder import contents as model_folder
from graftwork.model_folder.saving import save
from graftwork.recording import mlflow_model
from graftwork.recording.mlflow_model import log_model
from graftwork.recording.named_models import named_model
from graftwork.recording.opening import open_run
from graftwork.recording.recorded_models import bring_model
from graftwork.storage.artifacts import Artifacts

LOAD = """
import json, sys
import numpy as np
import pandas as pd
import mlflow
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(sys.argv[2])
images = [open(path, "rb").read() for path in sys.argv[3:]]
found = model.predict(pd.DataFrame({"image": images}))
example = model.predict(model.input_example)
import graftwork
print(json.dumps({
    "class": list(found["class"]), "probabilities": [list(p) for p in found["probabilities"]],
    "example": list(example["probabilities"][0]),
    "inputs": model.metadata.get_input_schema().to_dict(), "code": graftwork.__file__,
}))
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A model folder in MLflow: artifacts, run id and photos."""
    from conftest import COLOURS, composed, draw_photo

    root = tmp_path_factory.mktemp("project")
    for index in range(18):
        name, colour = list(COLOURS.items())[index % 3]
        split = "train" if index < 12 else "test"
        draw_photo(root / f"photos/{split}/{name}/{index}.jpg", colour, index)
    params = composed(
        "dataset=folder", f"dataset.path={root / 'photos'}", "model=tiny_cnn",
        "transfer=from_scratch", "trainer=smoke",
    )  # fmt: skip
    experiment, artifacts = tiny_experiment(params, root)
    classes = json.loads(artifacts.classes.read_text())
    classifier = experiment.model.build(len(classes), None)
    save(
        artifacts.model, classifier, experiment=experiment, input_spec=classifier.input_spec,
        classes=classes, training={}, pretrained=None, data_digest="",
    )  # fmt: skip
    photos = [Path(path) for path in usable(artifacts)["path"][:5]]
    run = open_run(experiment, artifacts)
    run.log_model(artifacts.model, photos[0].read_bytes())
    run.finish()
    return artifacts, run.run_id, photos


def test_it_predicts_from_raw_bytes_as_the_model_folder_does(recorded, tmp_path):
    from graftwork.serving.predictor import Predictor

    artifacts, run_id, photos = recorded
    store = f"sqlite:///{artifacts.mlflow_db}"
    (logged,) = MlflowClient(store).get_run(run_id).outputs.model_outputs
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    env |= {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    env["PYTHONDONTWRITEBYTECODE"] = "1"  # what was recorded stays as it was
    command = [sys.executable, "-c", LOAD, store, f"models:/{logged.model_id}", *map(str, photos)]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    expected = Predictor(artifacts.model).probabilities([p.read_bytes() for p in photos])
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-6)
    names = json.loads(artifacts.classes.read_text())
    assert found["class"] == [names[i] for i in expected.argmax(axis=1)]
    np.testing.assert_allclose(found["example"], expected[0], atol=1e-6)
    assert artifacts.mlflow_artifacts in Path(found["code"]).parents  # the code beside it
    assert found["inputs"] == [{"type": "binary", "name": "image", "required": True}]


def test_rows_keep_their_index(recorded):
    import pandas as pd

    from graftwork.recording.mlflow_model import _load_pyfunc

    artifacts, _, photos = recorded
    images = pd.DataFrame({"image": [p.read_bytes() for p in photos]}, index=list("abcde"))
    found = _load_pyfunc(str(artifacts.model)).predict(images)
    assert list(found.index) == list("abcde") and list(found.columns) == ["class", "probabilities"]
    assert all(abs(sum(row) - 1) < 1e-5 for row in found["probabilities"])


def test_it_carries_code_and_no_pickle(recorded):
    artifacts, run_id, _ = recorded
    (folder,) = artifacts.mlflow_artifacts.glob("models/*/artifacts")
    names = {path.name for path in folder.rglob("*")}
    assert {"backbone.safetensors", "head.safetensors", "model.json"} <= names
    assert {"predictor.py", "requirements.txt"} <= names
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".pyc", ".pt"))]
    about = (folder / "MLmodel").read_text()
    assert "loader_module: graftwork.recording.mlflow_model" in about and run_id in about
    needed = (folder / "requirements.txt").read_text().split()
    assert any(line.startswith("torch==") and "+" not in line for line in needed)


def test_it_is_found_by_its_run(recorded):
    artifacts, run_id, photos = recorded
    client = MlflowClient(f"sqlite:///{artifacts.mlflow_db}")
    address = log_model(client, run_id, artifacts.model, photos[0].read_bytes())
    model = client.get_logged_model(address.rpartition("/")[2])
    assert model.source_run_id == run_id and str(model.status).endswith("READY")


def test_weights_lie_on_the_disk_once(recorded):
    artifacts = recorded[0]
    kept = list(artifacts.mlflow_artifacts.rglob("backbone.safetensors"))
    assert kept and all(path.samefile(artifacts.model / path.name) for path in kept)


def test_another_model_in_the_runs_folder_does_not_change_the_recorded_one(recorded):
    artifacts = recorded[0]
    kept = next(artifacts.mlflow_artifacts.rglob("model.json")).parent
    for name in ("head.safetensors", "model.json"):
        before = (kept / name).read_bytes()
        (artifacts.model / name).write_bytes(b"!")  # into the same file, as cp does
        assert (kept / name).read_bytes() == before
        (artifacts.model / name).write_bytes(before)


def test_recorded_code_is_not_the_code_that_may_be_edited(recorded):
    kept = next(recorded[0].mlflow_artifacts.rglob("code/graftwork/models/network/classifier.py"))
    own = Path(mlflow_model.__file__).parents[1] / "models/network/classifier.py"
    assert kept.read_bytes() == own.read_bytes() and not kept.samefile(own)


def test_a_model_is_named_by_its_folder_its_runs_folder_or_its_recorded_run(recorded, tmp_path):
    artifacts, run_id, _ = recorded
    for place in (artifacts.model, artifacts.root):
        assert named_model(str(place), artifacts) == artifacts.model
    found = named_model(f"run:{run_id}", artifacts)
    assert found == artifacts.weights("runs") / run_id
    assert model_folder.read_contract(found) == model_folder.read_contract(artifacts.model)
    for word, says in {
        "run:12": "MODEL: 'run:12' names no run. Legal: run: and 32 digits",
        f"run:{'0' * 32}": "MODEL: there is no run 0000",
        str(artifacts.root / "modle"): r"MODEL: no such folder: .*Near it: model.*run:ID",
    }.items():
        with pytest.raises(UserError, match=says):
            named_model(word, artifacts)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="no such folder"):
        named_model(str(tmp_path / "file"), artifacts)


def test_a_recorded_model_comes_back_as_a_model_folder(recorded, tmp_path):
    artifacts, run_id, _ = recorded
    tracking = Experiment.from_file(artifacts.params).tracking
    bring_model(run_id, tracking, artifacts, tmp_path / "runs" / run_id)
    places = (tmp_path / "runs" / run_id, artifacts.model)
    found, kept = map(model_folder.read_contract, places)
    assert found == kept and model_folder.read_tensors(tmp_path / "runs" / run_id, found)
    bring_model(run_id, tracking, Artifacts.at(tmp_path), tmp_path / "runs" / run_id)  # is there
    with pytest.raises(UserError, match="there is no run 0000"):
        bring_model("0" * 32, tracking, artifacts, tmp_path / "none")
    assert not (tmp_path / "none").exists()
    with pytest.raises(UserError, match="no runs are recorded here yet"):
        bring_model(run_id, tracking, Artifacts.at(tmp_path), tmp_path / "none")
