"""The model as MLflow's pyfunc: raw image bytes in, classes and probabilities out.

The model folder goes in as it is, with this package's code beside it: loading runs
`_load_pyfunc` on safetensors and JSON, and unpickles nothing.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftwork.model_folder.contents import CONTRACT, HEAD
from graftwork.process.installed import releases
from graftwork.storage.files import link_or_copy
from graftwork.storage.leftovers import CODE, copied_code, remove

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

NAME = "model"
NEEDED = (
    *("torch", "torchvision", "timm", "safetensors", "numpy", "pandas", "pyarrow", "pillow"),
    *("opencv-python-headless", "simplejpeg", "omegaconf", "pyyaml", "filelock"),
)


def log_model(
    client: MlflowClient, run_id: str, model: Path, example: bytes, group: str | None = None
) -> str:
    """Adds the model to a run. Returns the address that `mlflow.pyfunc.load_model` takes.

    Args:
        group: id of MLflow's experiment that the run belongs to, if it is known.
    """
    from mlflow.entities import LoggedModelOutput

    group = group or client.get_run(run_id).info.experiment_id
    logged = client.create_logged_model(group, NAME, source_run_id=run_id)
    about = {"run_id": run_id, "model_id": logged.model_id}
    if (place := _local(logged.artifact_location)) is not None:
        save_model(place, model, example, **about)
    else:
        with tempfile.TemporaryDirectory() as folder:
            save_model(Path(folder) / NAME, model, example, **about)
            client.log_model_artifacts(logged.model_id, str(Path(folder) / NAME))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return f"models:/{logged.model_id}"


def _local(uri: str) -> Path | None:
    """The folder that a file URI names: what lies there need not be written twice."""
    from mlflow.utils.file_utils import local_file_uri_to_path

    if not uri.startswith("file:"):
        return None
    path = Path(local_file_uri_to_path(uri))
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def save_model(path: Path, model: Path, example: bytes, **about: str) -> None:
    """Writes MLflow's folder: the model folder, signature, input example, code, requirements.

    Requirements are named, not inferred: inferring them loads the model in another process.
    """
    with _requirements_believed(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, on type hints and on pandas
        _save(path, model, example, about)


@contextmanager
def _requirements_believed() -> Iterator[None]:
    """They are what is installed here: MLflow would look for half a second whether they are."""
    from mlflow.utils import environment

    name = "warn_dependency_requirement_mismatches"
    looks = getattr(environment, name)
    setattr(environment, name, lambda _: None)
    try:
        yield
    finally:
        setattr(environment, name, looks)


def _link_or_copy(source: str, target: str) -> None:
    """Without writing the backbone and the code of every run again.

    What tells a model from others is copied: a run's folder that somebody fills with another
    model's files leaves the recorded one what it was, or else it is refused when it is loaded.
    """
    if os.path.basename(source) in (HEAD, CONTRACT):
        shutil.copyfile(source, target)
    else:
        link_or_copy(source, target)


@cache
def _code() -> str:
    """A copy of this package that nobody edits, one a process, for every model to link to."""
    for left in copied_code():
        remove(left)
    folder = tempfile.mkdtemp(prefix=f"{CODE}{os.getpid()}-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    package = Path(__file__).parents[1]
    ignored = shutil.ignore_patterns("__pycache__")
    return str(shutil.copytree(package, Path(folder) / package.name, ignore=ignored))


def _save(path: Path, model: Path, example: bytes, about: Mapping[str, str]) -> None:
    """MLflow copies empty folders in the place of model and code; then both are linked."""
    import mlflow.pyfunc
    import pandas as pd
    from mlflow.models import Model
    from mlflow.utils.file_utils import get_total_file_size

    recorded = Model(**about)  # type: ignore[arg-type]
    contents = {"data": model, "code": Path(_code())}
    with tempfile.TemporaryDirectory() as place:
        empty = {name: Path(place) / source.name for name, source in contents.items()}
        for folder in empty.values():
            folder.mkdir()
        mlflow.pyfunc.save_model(
            str(path),
            loader_module="graftwork.recording.mlflow_model",
            data_path=str(empty["data"]),
            code_paths=[str(empty["code"])],
            mlflow_model=recorded,
            signature=_signature(),
            input_example=pd.DataFrame({"image": [example]}),
            pip_requirements=_requirements(),
        )
    for name, source in contents.items():
        target = path / name / source.name
        shutil.copytree(source, target, copy_function=_link_or_copy, dirs_exist_ok=True)
    recorded.model_size_bytes = get_total_file_size(path / "data")
    recorded.save(str(path / "MLmodel"))


def _signature() -> ModelSignature:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import Array

    image = ColSpec(DataType.binary, "image")
    probabilities = ColSpec(Array(DataType.double), "probabilities")
    return ModelSignature(
        Schema([image]), Schema([ColSpec(DataType.string, "class"), probabilities])
    )


def _requirements() -> list[str]:
    found = releases(*NEEDED).items()
    return [f"{name}=={which.partition('+')[0]}" if which else name for name, which in found]


class ImageClassifier:
    """What `mlflow.pyfunc` calls."""

    def __init__(self, folder: Path) -> None:
        from graftwork.serving.predictor import Predictor

        self._predictor = Predictor(folder)

    def predict(self, images: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Classes and probabilities of encoded images.

        Args:
            images: column `image`: the bytes of a JPEG, PNG, ... each.
            params: unused; MLflow passes it.

        Returns:
            Columns `class` and `probabilities` (a list, in the order of the model's classes).
        """
        import pandas as pd

        probabilities = self._predictor.probabilities(list(images["image"]))
        return pd.DataFrame(
            {
                "class": [self._predictor.classes[index] for index in probabilities.argmax(axis=1)],
                "probabilities": [row.tolist() for row in probabilities],
            },
            index=images.index,
        )


def _load_pyfunc(data_path: str) -> ImageClassifier:
    """Called by MLflow. `data_path`: the model folder."""
    return ImageClassifier(Path(data_path))
